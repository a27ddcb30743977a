/**
 * `npm run test:interop -- [--install] NAME…`: groups of tests against real programs, by name; none named is all of them. With `--install`
 * what they need is fetched and built, and nothing is tested.
 */
import { parseArgs } from 'node:util'
import type { Group } from './group.ts'
import groups from './groups.json' with { type: 'json' }

const { values, positionals: names } = parseArgs({ options: { install: { type: 'boolean' } }, allowPositionals: true })

/** Counts are cut to the group's seconds; LOTSE_INTEROP_SECONDS says otherwise, `Infinity` for full counts. */
async function runGroup({ name, seconds }: (typeof groups)[number]): Promise<{ passed: number; failed: number }> {
  try {
    const group = (await import(new URL(`./${name}.ts`, import.meta.url).href)) as Group
    await group.install()
    if (values.install) return { passed: 1, failed: 0 }
    return await group.run(Number(process.env['LOTSE_INTEROP_SECONDS'] ?? seconds))
  } catch (error) {
    console.error(error)
    return { passed: 0, failed: 1 }
  }
}

const unknown = names.filter((name) => !groups.some((group) => group.name === name))
if (unknown.length > 0) {
  console.error(`no interop group is called ${unknown.join(', ')}`)
  console.error(`there are: ${groups.map((group) => group.name).join(', ')}`)
  process.exit(2)
}
for (const group of groups.filter(({ name }) => names.length === 0 || names.includes(name))) {
  console.log(`\ninterop group ${group.name}`)
  const { passed, failed } = await runGroup(group)
  console.log(`${passed} passed, ${failed} failed`)
  if (failed > 0 || passed === 0) process.exitCode = 1
}
