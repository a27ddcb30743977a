/** The part of supertest that our tests use; the package brings no types of its own. */
declare module 'supertest' {
  import type { RequestListener, Server } from 'node:http'

  export interface Response {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: unknown
    readonly text: string
    readonly type: string
  }
  export interface Test extends PromiseLike<Response> {
    set(name: string, value: string): this
    set(headers: Readonly<Record<string, string>>): this
    type(type: string): this
    query(values: Readonly<Record<string, string>> | string): this
    send(body?: string | object): this
    redirects(count: number): this
    auth(user: string, password: string): this
    expect(status: number): this
    expect(status: number, body: unknown): this
    expect(header: string, value: string | RegExp): this
    expect(check: (response: Response) => void): this
  }
  type Verb = (path: string) => Test
  export interface Agent {
    readonly get: Verb
    readonly head: Verb
    readonly post: Verb
    readonly put: Verb
    readonly patch: Verb
    readonly delete: Verb
    readonly options: Verb
  }
  export default function request(server: RequestListener | Server | string): Agent
}
