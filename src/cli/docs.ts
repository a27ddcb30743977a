import { writeFile } from 'node:fs/promises'
import { parts } from '../app-config.ts'
import { configSchema } from '../config/compose.ts'
import { documents } from '../config/document.ts'

/** Writes config/schema.json and docs/config.md anew; `npm run docs` runs this file. */
const { schema, markdown } = documents(configSchema(parts))
const root = new URL('../../', import.meta.url)
await writeFile(new URL('config/schema.json', root), schema)
await writeFile(new URL('docs/config.md', root), markdown)
