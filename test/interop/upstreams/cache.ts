import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where what is fetched or built once for all runs on a machine stands. */
export const cacheFolder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lotse-interop')

/**
 * A folder of the cache, made where it is missing. It appears whole or not at all, whoever else makes it at the same time.
 * @param name says the version of everything inside
 */
export async function cached(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder, name)
  if (await exists(folder)) return folder
  await mkdir(cacheFolder, { recursive: true })
  const unfinished = await mkdtemp(join(cacheFolder, `${name}-`))
  try {
    await make(unfinished)
    await rename(unfinished, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  return folder
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Says what goes on, again every ten seconds, and how long it took. */
export async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = Date.now()
  const seconds = () => Math.round((Date.now() - began) / 1000)
  console.log(`  ${what} …`)
  const timer = setInterval(() => console.log(`  ${what}: ${seconds()} s`), 10_000)
  try {
    const found = await work()
    console.log(`  ${what}: done in ${seconds()} s`)
    return found
  } finally {
    clearInterval(timer)
  }
}
