import type { GeneratedFile } from '../../../core/ports.ts'
import { pythonText } from '../../quote.ts'
import { comments, made, type Setting } from './setting.ts'

/** The dashboard's choice of single sign-on; kolla-ansible writes the same from its own globals. */
export function horizonFiles(setting: Setting): readonly GeneratedFile[] {
  return setting.flavour === 'kolla' ? [] : [{ path: 'horizon/local_settings.d/_lotse.py', content: settings(setting) }]
}

function settings(setting: Setting): string {
  const { config, issuer, choice } = setting
  const key = `${config.identityProvider}_${config.protocol}`
  const head = made(setting, 'For openstack_dashboard/local/local_settings.d/ of Horizon.')
  return `${comments(head)}
from django.utils.translation import gettext_lazy as _

WEBSSO_ENABLED = True
# The address that browsers reach; Horizon itself may use another one.
WEBSSO_KEYSTONE_URL = ${pythonText(setting.api)}
WEBSSO_CHOICES = (
    (${pythonText(key)}, _(${pythonText(choice)})),
    ("credentials", _("Keystone Credentials")),
)
WEBSSO_INITIAL_CHOICE = ${pythonText(key)}
WEBSSO_IDP_MAPPING = {
    ${pythonText(key)}: (${pythonText(config.identityProvider)}, ${pythonText(config.protocol)}),
}

# A sign-out of Horizon ends the token at Keystone. The session at the gateway stays, and so does the one of Apache, for minutes:
# who signs out at the gateway (${issuer}/logout) is signed out of Apache, too, since the gateway tells it (back-channel logout).
# Horizon goes there by itself only where it has no other way to sign in:
#WEBSSO_DEFAULT_REDIRECT = True
#WEBSSO_DEFAULT_REDIRECT_PROTOCOL = ${pythonText(config.protocol)}
#WEBSSO_DEFAULT_REDIRECT_REGION = WEBSSO_KEYSTONE_URL
#WEBSSO_DEFAULT_REDIRECT_LOGOUT = ${pythonText(`${issuer}/logout`)}
`
}
