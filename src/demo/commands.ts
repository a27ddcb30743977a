import type { World } from './world.ts'

/** One command to paste, and what it is for. */
export interface PasteCommand {
  readonly what: string
  readonly command: string
}

/**
 * The device flow (RFC 8628) in a POSIX shell with curl and sed alone: ask for a code, confirm it in the browser, fetch the
 * tokens. Run in this order in one shell.
 */
export function deviceCommands({ issuer }: Pick<World, 'issuer'>): readonly [PasteCommand, PasteCommand] {
  const device = 'urn:ietf:params:oauth:grant-type:device_code'
  return [
    {
      what: 'Ask for a code, and keep it in the shell:',
      command:
        `answer=$(curl -s -d client_id=demo-cli ${issuer}/device/auth); echo "$answer"\n` +
        `code=$(echo "$answer" | sed 's/.*"device_code":"\\([^"]*\\)".*/\\1/')`,
    },
    {
      what: 'Once you have confirmed it in the browser, fetch the tokens:',
      command: `curl -s -d client_id=demo-cli -d grant_type=${device} -d device_code="$code" ${issuer}/token`,
    },
  ]
}
