/**
 * How often a test repeats what only many tries can show: a few times in `npm test`, the full count in `npm run soak`.
 * A test file that imports this is a soak by its own name (`test/flows/races.test.ts` is `npm run soak -- races`).
 */
export const rounds = (quick: number, full: number): number => (process.env['SOAK'] === 'full' ? full : quick)
