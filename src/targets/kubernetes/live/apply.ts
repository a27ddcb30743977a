import type { Answer, ClusterApi } from '../access.ts'
import { collectionOf, type Manifest, pathOf, UNNEEDED } from './manifest.ts'
import type { Does } from './plan.ts'

const MERGE = 'application/merge-patch+json'
/** Gone, or changed, since it was looked at: the next look sees what is there now. */
const CHANGED = [404, 409]

/** @throws {TargetUnavailable} */
export async function apply(api: ClusterApi, does: Does, how: 'do' | 'try'): Promise<'done' | 'no-place'> {
  const query = how === 'try' ? '?dryRun=All' : ''
  if (does.do === 'create') return create(api, does.wanted, query)
  if (does.do === 'delete') await remove(api, does.seen, query)
  if (does.do === 'note') await patch(api, does.seen, { metadata: { annotations: { [UNNEEDED]: does.since } } }, query)
  if (does.do === 'patch') {
    const { status } = await patch(api, does.seen, mended(does.wanted), query)
    // Removed since it was looked at, as what nobody needed: whoever waits for it now does not wait for the next look.
    if (status === 404) return create(api, does.wanted, query)
  }
  if (does.do === 'replace') {
    await remove(api, does.seen, query)
    // Asked what it would do, the API server still has the old one.
    if (how === 'do') return create(api, does.wanted, query)
  }
  return 'done'
}

/** A null takes an annotation away (RFC 7396). */
const mended = ({ subjects = [], metadata: { labels, annotations } }: Manifest) => ({
  subjects,
  metadata: { labels, annotations: { ...annotations, [UNNEEDED]: null } },
})

/** A namespace that is not there answers 404. */
async function create(api: ClusterApi, wanted: Manifest, query: string): Promise<'done' | 'no-place'> {
  const { namespace } = wanted.metadata
  const path = collectionOf(namespace) + query
  const { status } = await api.send('POST', path, { sent: { body: wanted }, may: CHANGED })
  return status === 404 ? 'no-place' : 'done'
}

/** Whoever wrote into it since it was looked at is not written over. */
async function patch(api: ClusterApi, seen: Manifest, change: { metadata: object }, query: string): Promise<Answer> {
  const { resourceVersion } = seen.metadata
  const body = { ...change, metadata: { ...change.metadata, resourceVersion } }
  return api.send('PATCH', pathOf(seen) + query, { sent: { body, type: MERGE }, may: CHANGED })
}

/** Only that very one: another of its name may have come since, and somebody may need it again. */
async function remove(api: ClusterApi, seen: Manifest, query: string): Promise<void> {
  const { uid, resourceVersion } = seen.metadata
  const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid, resourceVersion } }
  await api.send('DELETE', pathOf(seen) + query, { sent: { body }, may: CHANGED })
}
