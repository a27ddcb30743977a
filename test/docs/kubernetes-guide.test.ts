import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/kubernetes.md'), 'utf8')
const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].map(([, kind = '', text = '']) => ({ kind, text }))
const [kubeconfig = '', client = ''] = blocks.filter(({ kind }) => kind === 'yaml').map(({ text }) => text)
const [printing = ''] = blocks.filter(({ kind }) => kind === '').map(({ text }) => text.trim())

/** What the page takes for granted: two clusters, an upstream, and a rule whose namespace a claim completes. */
const around = `issuer: https://login.cloud.example
listen: { port: 8080 }
store: { kind: embedded, path: lotse.db }
keys: { create: true }
connectors: [{ id: corp, type: oidc, label: Corp AG, issuer: https://sso.corp.example, clientId: lotse, auth: none }]
targets:
  - { id: prod, type: kubernetes, server: https://10.0.0.1:6443, audience: k8s-prod }
  - { id: stage, type: kubernetes, server: https://10.0.0.2:6443, audience: k8s-stage }
rules:
  - { name: teams, from: [corp], each: { claim: groups, pattern: '/teams/<team>' }, give: [{ target: prod, namespace: '<team>', roles: [edit] }] }
tests:
  - { name: ada, subject: { connector: corp, id: ada, claims: { groups: /teams/web } }, expect: ['prod namespace web: edit'] }
`

let folder: string
const said = { code: 0, err: [] as string[] }
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-kubernetes-guide-'))
  await writeFile(join(folder, 'gateway.yaml'), `${around}${client}`)
  const io = {
    out: () => {},
    err: (line: string) => said.err.push(line),
    env: {},
    cwd: folder,
    now: () => Math.floor(Date.now() / 1000),
  } as unknown as Io
  said.code = await main(printing.replace(/^lotse /, '').split(' '), io)
})
after(() => rm(folder, { recursive: true }))

const printed = (path: string) => readFile(join(folder, 'printed', path), 'utf8')
const rowsUnder = (head: string) =>
  [...(page.split(`| ${head} |`)[1]?.split('\n\n')[0] ?? '').matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  )

describe('docs/guides/kubernetes.md', () => {
  it('prints for its cluster by the command and the client that it shows', () => {
    assert.deepEqual([said.code, said.err], [0, []])
  })

  it('names files and folders that are printed', () => {
    const files = globSync('**/*', { cwd: join(folder, 'printed') })
    const part = page.slice(page.indexOf(printing))
    const named = [...part.matchAll(/`((?:[\w-]+\/)+(?:[\w.-]+)?|v1beta1\.yaml)`/g)].map(([, path = '']) => path)
    assert.ok(named.length > 8)
    const absent = named.filter(
      (path) => !files.some((file) => `${file}/`.includes(path)) && !files.some((file) => file.endsWith(path)),
    )
    assert.deepEqual(absent, [])
  })

  it('shows a kubeconfig that says what the printed one says', async () => {
    const shown = parse(kubeconfig)
    const made = parse(await printed('kubeconfig/lotse.yaml'))
    const { installHint: _, args, ...exec } = made.users[0].user.exec
    const { args: words, ...own } = shown.users[0].user.exec
    assert.deepEqual(own, exec)
    const joined = words
      .join(' ')
      .replaceAll(/(--\w+) /g, '$1=')
      .split(' ')
    assert.deepEqual(
      joined,
      args.filter((arg: string) => arg !== '--redirect=http://127.0.0.1/cb'),
    )
    const [hers, ours] = [shown, made].map(({ clusters }) => clusters[0].cluster.extensions[0])
    assert.deepEqual([hers.name, hers.extension.target], [ours.name, ours.extension.target])
    assert.deepEqual(shown.contexts[0].context, { cluster: 'prod', user: shown.users[0].name })
  })

  it('tells of refusals by the words that are shown', async () => {
    const sources = globSync('src/{cli,http}/**/*.ts', { cwd: root }).map((file) =>
      readFileSync(join(root, file), 'utf8'),
    )
    const theirs = /^(?:You must be logged in|Error from server|lotse |kubectl )/ // kubectl's own words, and commands
    const ours = rowsUnder('you see | it means | do').filter((text) => !theirs.test(text))
    assert.ok(ours.length > 4)
    const inSource = (text: string) => sources.some((source) => source.includes(text.replace(/\d.*/, ''))) // numbers are put in
    assert.deepEqual(
      ours.filter((text) => !inSource(text)),
      [],
    )
    const rules = await printed('authentication/v1.yaml')
    const ruled = rowsUnder("the kube-apiserver's log says | it means").filter((text) => /^the (ID )?token /.test(text))
    assert.ok(ruled.length > 2)
    assert.deepEqual(
      ruled.filter((text) => !rules.includes(text)),
      [],
    )
  })
})
