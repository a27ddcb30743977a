import { request } from 'node:http'
import { createInterface } from 'node:readline'

/**
 * A client as a process of its own: for each refresh token on standard input it asks for the next, and says on standard output
 * `sent`, and then `STATUS REFRESH_TOKEN` or `STATUS ERROR`.
 */
const [issuer = '', client = ''] = process.argv.slice(2)
const say = (line: string) => process.stdout.write(`${line}\n`)

say('ready')
for await (const token of createInterface({ input: process.stdin })) refresh(token)

function refresh(token: string): void {
  const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: client, refresh_token: token }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length }
  const call = request(`${issuer}/token`, { method: 'POST', headers }, (answer) => {
    let text = ''
    answer.setEncoding('utf8')
    answer.on('data', (chunk: string) => {
      text += chunk
    })
    answer.on('end', () => {
      const { refresh_token: next, error } = JSON.parse(text) as { refresh_token?: string; error?: string }
      say(`${answer.statusCode} ${next ?? error}`)
    })
  })
  call.end(body, () => say('sent'))
}
