import { test } from 'node:test'
import { openKeycloak } from './keycloak.ts'
import { ASKED, disabled, lifecycle, sessionEnded } from './lifecycle.ts'
import { servers } from './servers.ts'

const world = lifecycle(() => openKeycloak(servers().keycloak))

test('somebody whom Keycloak disabled gets no more tokens one recheckAfter later', () =>
  disabled(world(), 'carol', ['invalid_grant'], ASKED))

test("a session that Keycloak's administrator ends is over here within 5 s by its logout token, with no question asked", () =>
  sessionEnded(world(), 'told', 'erin', 5))
