import { type FSWatcher, watch as watchFs } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

/** How a watched configuration is told of. */
export interface Watching {
  /** Files, each in a folder that may be replaced as a whole (Kubernetes swaps a symbolic link). */
  readonly files: readonly string[]
  /** Folders whose files all count. */
  readonly folders: readonly string[]
  /** Milliseconds of rest after a change, so that a file that is still written is not read. */
  readonly quiet?: number
  /** Milliseconds between two looks at times and sizes, for file systems that tell nothing (NFS, some mounts). */
  readonly poll?: number
}

/**
 * Calls back after something changed, once for changes close together; whether the content differs is for the caller to see
 * (`state` of the loader).
 * @returns stops watching
 */
export function watch({ files, folders, quiet = 200, poll = 5000 }: Watching, onChange: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const changed = () => {
    clearTimeout(timer)
    timer = setTimeout(onChange, quiet)
    timer.unref()
  }
  const watchers = [
    ...files.map((file) => watchFolder(dirname(file), (name) => isPartOf(name, basename(file)), changed)),
    ...folders.map((folder) => watchFolder(folder, () => true, changed)),
  ]
  let seen: string | undefined
  const look = async () => {
    const now = await Promise.all([...files, ...folders].map(stampOf))
    const text = now.join('\n')
    if (seen !== undefined && text !== seen) changed()
    seen = text
  }
  void look()
  const polling = setInterval(() => void look(), poll)
  polling.unref()
  return () => {
    clearTimeout(timer)
    clearInterval(polling)
    for (const watcher of watchers) watcher?.close()
  }
}

/** An editor renames a new file over the old one, a ConfigMap swaps `..data`: both are seen in the folder. */
function isPartOf(name: string | null, file: string): boolean {
  return name === null || name === file || name === '..data'
}

function watchFolder(
  folder: string,
  counts: (name: string | null) => boolean,
  changed: () => void,
): FSWatcher | undefined {
  try {
    const watcher = watchFs(folder, { persistent: false }, (_event, name) => {
      if (counts(name)) changed()
    })
    // The folder may go away; polling sees when it comes back.
    return watcher.on('error', () => watcher.close())
  } catch {
    return undefined
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs} ${size} ${ino}`
  } catch {
    return 'absent'
  }
}
