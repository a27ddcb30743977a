/**
 * `npm run build`: the gateway with all its packages in a few files of JavaScript, `dist/main.js` first. One file is read three times as
 * fast as the two hundred of which it is made, and what nobody calls is left out. Types are checked by `npm run types`, not here.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

/** The folders of the packages that went into the files, such as `node_modules/koa`. */
function packagesIn(inputs: readonly string[]): readonly string[] {
  const folders = inputs.flatMap((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

/** Their names, versions and licences, which go wherever their code goes. */
function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((each) => /^licen[cs]e/i.test(each))
  const text = file === undefined ? `${license}, by its package.json\n` : readFileSync(join(root, folder, file), 'utf8')
  return `${name} ${version}\n\n${text.trim()}\n`
}

rmSync(dist, { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    main: 'src/main.ts',
    // Threads are files of their own, beside the chunks that start them.
    'lib/saml-signature': 'src/connectors/saml/signature-worker.ts',
    'lib/saml-metadata': 'src/connectors/saml/metadata/worker.ts',
  },
  outdir: dist,
  // One folder deep, as in src: the files find package.json and config/ from where they are.
  chunkNames: 'lib/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  metafile: true,
  logLevel: 'warning',
  // Names stay readable in stacks; packages that still `require` find their way.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
})
const separator = `\n${'-'.repeat(72)}\n\n`
writeFileSync(join(dist, 'THIRD-PARTY.txt'), packagesIn(Object.keys(metafile.inputs)).map(licenceOf).join(separator))
