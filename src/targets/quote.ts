/*
 * Text from the configuration in the words of each reader. What a reader cannot say at all is told by a predicate, and printing
 * is refused: nothing is changed silently.
 */

const hex = (character: string, digits: number) => (character.codePointAt(0) ?? 0).toString(16).padStart(digits, '0')

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '"': '\\"', '\\': '\\\\' }

/** `\n`, `\xNN`, `\uNNNN` and `\UNNNNNNNN`: the same in YAML's double quotes and in Python. A lone surrogate becomes U+FFFD. */
function unicodeEscape(character: string): string {
  const known = named[character]
  if (known !== undefined) return known
  const code = character.codePointAt(0) ?? 0
  if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd'
  if (code <= 0xff) return `\\x${hex(character, 2)}`
  return code <= 0xffff ? `\\u${hex(character, 4)}` : `\\U${hex(character, 8)}`
}

const notPlain = /[^\x20-\x7e]|["\\]/gu

/** A YAML string, YAML 1.1 (Ansible, openstacksdk) and 1.2 alike. */
export const yamlText = (text: string): string => `"${text.replace(notPlain, unicodeEscape)}"`

/** A Python string. */
export const pythonText = (text: string): string => `"${text.replace(notPlain, unicodeEscape)}"`

/** A YAML string that Ansible does not take for a template: `{{` and `{%` would be one. */
export const ansibleText = (text: string): string =>
  /\{[{%#]/.test(text) ? `!unsafe ${yamlText(text)}` : yamlText(text)

/** One word of a POSIX shell. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** One argument of an Apache directive, in quotes: a quote and a backslash are escaped. @see Apache's ap_getword_conf */
export const apacheText = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** What no quoting gets through Apache: line ends, `${`, which it replaces by a variable's value, and `%{`, the start of an expression. */
export const apacheCannotSay = (text: string): boolean => /[^\x20-\x7e]|[$%]\{/.test(text)

/** A literal in a regular expression that Apache reads. */
export const apachePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Literal text in a mapping's `local`, where Keystone fills braces by Python's str.format. */
export const mappingText = (text: string): string => text.replace(/[{}]/g, '$&$&')

/** JSON in ASCII alone. */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, null, 2).replace(/[^\x20-\x7e\n]/g, (unit) => `\\u${hex(unit, 4)}`)}\n`

/** A value of an ini file that oslo.config reads: `$` begins a substitution there. */
export const osloText = (text: string): string => text.replaceAll('$', '$$$$')
