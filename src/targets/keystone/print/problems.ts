import type { ClientConfig } from '../../../config/clients.ts'
import { apacheCannotSay } from '../../quote.ts'
import type { PrintWorld } from '../../target.ts'
import { passesApache } from '../encode.ts'
import type { KeystoneConfig } from '../options.ts'
import { flavours, isFlavour, type Setting, settingOf } from './setting.ts'

/**
 * What the configuration of the gateway lacks, or has otherwise than this Keystone's Apache needs it, each with what to write; empty
 * where the files can be printed.
 */
export function printProblems(config: KeystoneConfig, world: PrintWorld): readonly string[] {
  if (world.flavour !== undefined && !isFlavour(world.flavour))
    return [`no flavour ${JSON.stringify(world.flavour)}; there are ${flavours.join(', ')}`]
  const setting = settingOf(config, world)
  return [
    ...unsayable(setting),
    ...(setting.apache === undefined ? [noClient(setting)] : client(setting, setting.apache)),
  ]
}

type Finding = string | false | undefined

const texts = (findings: readonly Finding[]) => findings.filter((finding) => typeof finding === 'string')

function unsayable({ config, issuer, audience, flavour }: Setting): readonly string[] {
  const secure = issuer.startsWith('https:')
  return texts([
    // Keystone splits every value at it: the guard in the mapping would never hold, or for another audience.
    // Braces are syntax to Keystone, to Ansible and to Apache.
    /[;,{}]/.test(audience) &&
      `the audience ${audience} holds ; , { or }, which Keystone splits at or fills; write another`,
    flavour === 'kolla' &&
      config.protocol !== 'openid' &&
      `kolla-ansible knows the protocol openid alone, not ${config.protocol}; write protocol: openid`,
    // mod_auth_openidc before 2.4.13 does not start with another one.
    !secure && `the issuer ${issuer} is not https, and ${flavour} takes keys and answers by https only`,
    !passesApache(config.domain) &&
      `the domain ${JSON.stringify(config.domain)} does not get through Apache: only ASCII without ; , { } quotes and \\ does`,
  ])
}

const isImplicit = ({ flavour }: Setting) => flavour === 'kolla'

function noClient(setting: Setting): string {
  const { audience, config, redirect, backchannel, flavour } = setting
  const fields = [
    `id: ${audience}`,
    `target: ${config.id}`,
    'accessToken: opaque',
    'auth: client_secret_basic',
    'secret: { env: KEYSTONE_SECRET }',
    `grants: [${isImplicit(setting) ? 'implicit' : 'code'}]`,
    `redirectUris: ['${redirect}']`,
    `backchannelLogout: { url: '${backchannel}' }`,
    ...(flavour === 'introspection' ? ['introspect: true'] : []),
  ]
  return `no client is called ${audience}, as the target's audience is, and Apache has to be one; write in clients: - { ${fields.join(', ')} }`
}

function client(setting: Setting, apache: ClientConfig): readonly string[] {
  const say = (text: string) => `client ${apache.id}: ${text}`
  return texts([
    ...always(setting, apache),
    ...(isImplicit(setting) ? [] : byCode(apache)),
    ...secretOf(setting, apache),
  ]).map(say)
}

function always(setting: Setting, apache: ClientConfig): readonly Finding[] {
  const { config, redirect, backchannel } = setting
  const grant = isImplicit(setting) ? 'implicit' : 'code'
  return [
    apache.target !== config.id && `its tokens are not for this Keystone; write target: ${config.id}`,
    !apache.grants.includes(grant) && `Apache signs people in by the grant ${grant}; write grants: [${grant}]`,
    !apache.redirectUris.includes(redirect) &&
      `Apache takes answers at ${redirect}; write redirectUris: ['${redirect}']`,
    // Apache has a session of its own, by which it lets a person in who has signed out.
    apache.backchannelLogout?.url !== backchannel &&
      `Apache's own session has to hear of a sign-out; write backchannelLogout: { url: '${backchannel}' }, with private: true where that host has a private address`,
    apache.backchannelLogout?.sessionRequired === false &&
      'Apache finds its sessions by sid; take backchannelLogout.sessionRequired out, or write true',
    apache.par === 'required' && 'mod_auth_openidc cannot push requests; write par: optional',
    apache.dpop === 'required' && 'mod_auth_openidc cannot bind its tokens; write dpop: optional',
  ]
}

function byCode(apache: ClientConfig): readonly Finding[] {
  return [
    apache.accessToken !== 'opaque' &&
      'Apache reads userinfo, which a token for Keystone cannot; write accessToken: opaque',
    !apache.auth.startsWith('client_secret_') &&
      'Apache proves itself by a secret; write auth: client_secret_basic and secret: { env: KEYSTONE_SECRET }',
  ]
}

function secretOf({ flavour }: Setting, { secret, introspect }: ClientConfig): readonly Finding[] {
  return [
    flavour === 'introspection' && !introspect && 'Apache asks about each token; write introspect: true',
    secret !== undefined &&
      (apacheCannotSay(secret) || secret.startsWith('exec:')) &&
      'its secret cannot be written for Apache: it holds ${ or %{, begins with exec:, or is not printable ASCII; make another',
  ]
}
