import { writeFile } from 'node:fs/promises'
import { configSchema } from '../config/compose.ts'
import { documents } from '../config/document.ts'
import { connectorTypes } from '../connectors/index.ts'
import { targetTypes } from '../targets/index.ts'

/** Writes config/schema.json and docs/config.md anew; `npm run docs` runs this file. */
const { schema, markdown } = documents(configSchema({ connectors: connectorTypes, targets: targetTypes }))
const root = new URL('../../', import.meta.url)
await writeFile(new URL('config/schema.json', root), schema)
await writeFile(new URL('docs/config.md', root), markdown)
