/** What is used of jsonld, which has no types of its own. */
declare module 'jsonld' {
  interface Options {
    readonly algorithm: 'RDFC-1.0'
    readonly format: 'application/n-quads'
    /** Refuses what would be dropped silently. */
    readonly safe: true
    readonly documentLoader: (url: string) => Promise<{ readonly document: unknown; readonly documentUrl: string }>
    /** RDFC-1.0, 7.1: bounds work on blank nodes that are made to look alike. */
    readonly maxWorkFactor?: number
  }
  const jsonld: { canonize(document: unknown, options: Options): Promise<string> }
  export default jsonld
}
