import { test } from 'node:test'
import { openCanaille } from './canaille.ts'
import { ASKED, disabled, lifecycle, sessionEnded } from './lifecycle.ts'
import { servers } from './servers.ts'
import { GRACE } from './world.ts'

const world = lifecycle(() => {
  const { url, folder, work } = servers().canaille
  return openCanaille(url, folder, work)
})

// Authlib refuses the refresh of a locked person as `invalid_request`, by which RFC 6749 5.2 says that a request is malformed.
test('somebody whom Canaille locked gets no more tokens once recheckGrace is over too, if not before', () =>
  disabled(world(), 'carol', ['invalid_grant', 'temporarily_unavailable'], ASKED + GRACE))

test("tokens that Canaille's administrator revoked are found at the next question, since it tells nobody", () =>
  sessionEnded(world(), 'asked', 'erin', ASKED))
