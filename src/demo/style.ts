import { createHash } from 'node:crypto'
import { type Brand, createLook, type Look } from '../http/pages/index.ts'

/** What the demo's own pages add to the gateway's style sheet. */
const additions = `
.lead{font-size:1.0625rem;max-width:44rem}
.path{list-style:none;margin:1.5rem 0 0;padding:0;display:grid;grid-template-columns:repeat(3,1fr);gap:1rem;counter-reset:step}
.path li{position:relative;padding:.875rem 1rem;border-radius:12px;background:var(--wash);font-size:.9375rem}
.path li+li::before{content:"";position:absolute;inset-inline-start:-.8rem;top:50%;width:.5rem;height:.5rem;margin-top:-.25rem;border:solid var(--quiet);border-width:2px 2px 0 0;transform:rotate(45deg)}
.path strong{display:block}.path a{color:inherit}
.people{list-style:none;margin:0;padding:0}
.people>li{display:grid;grid-template-columns:10.5rem 1fr 1fr auto;gap:.5rem 1.25rem;align-items:start;padding:1rem 0;border-bottom:1px solid var(--line)}
.people>li:last-child{border-bottom:0}
.people h3{margin:0;font-size:1rem;font-weight:650}.people h3+p{margin:0;font-size:.875rem;color:var(--quiet)}
.people dl{margin:0;grid-template-columns:1fr;gap:0;font-size:.875rem}.people dd{margin:0 0 .375rem}
.people .list{margin:0;font-size:.9375rem}.people .list li:last-child{margin:0}
.people .why{display:inline-block;padding:.375rem 0;font-size:.875rem}
.people .button{white-space:nowrap}
.clip{display:grid;gap:.25rem}
pre{font:.8125rem/1.55 var(--mono);margin:.5rem 0 1rem;padding:.875rem 1rem;border-radius:10px;background:var(--wash);overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;tab-size:2}
pre.wide{white-space:pre;overflow-wrap:normal}
main>section.card,main>.card+.card{margin-top:1.25rem}
.card>h2{font-size:1.125rem;margin:0 0 .375rem}
.card>.org+p{margin-top:.75rem}.card>.org{margin:2.25rem 0 0;padding:0 0 .625rem;font-size:1.0625rem;border-bottom:1px solid var(--line)}
.steps{margin:0;padding-inline-start:1.25rem}.steps li{margin:0 0 .5rem}
.trace{list-style:none;margin:0;padding:0;font-size:.9375rem}
.trace li{padding:0 0 .625rem 1.5rem;position:relative}.trace li::before{position:absolute;inset-inline-start:0;content:"–";color:var(--quiet);font-weight:700}
.trace li.yes::before{content:"✓";color:var(--ok)}.trace li.forbids::before{content:"✕";color:var(--no)}
.trace p{margin:0;font-size:.875rem}.trace li.yes p{color:var(--ink)}.trace p{color:var(--quiet)}.trace strong{font-weight:600}
.three{display:grid;grid-template-columns:1fr 1.15fr 1fr;gap:1rem;margin-top:1.5rem}
.three section{border:1px solid var(--line);border-radius:12px;padding:1.125rem 1.25rem;min-width:0}
.three dl{margin:0;grid-template-columns:1fr;gap:0}.three dd{margin:0 0 .5rem}
.tokens{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.tokens>section{border:1px solid var(--line);border-radius:12px;padding:1.125rem 1.25rem;min-width:0}
.tokens h3{margin:0;font-size:1rem}.tokens .none{color:var(--quiet)}
.bar{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0 0}.bar+p{margin-top:1rem}
.bar .button.even,.bar button.even{border-width:2px}
summary{cursor:pointer;min-height:2.75rem;padding:.625rem 0;color:var(--sea);font-size:.9375rem}
.crowd{list-style:none;margin:1.25rem 0 0;padding:0;display:grid;gap:.5rem}
.crowd button{width:100%;display:flex;align-items:center;gap:.875rem;min-height:4rem;padding:.625rem .875rem;text-align:start;background:none;color:inherit;border:1px solid var(--soft);border-radius:12px;font-weight:400}
.crowd button:hover{border-color:var(--sea);background:var(--wash);filter:none;text-decoration:none}
.crowd .first button{border:2px solid var(--sea)}
.crowd .mark{flex:none;width:2.5rem;height:2.5rem;border-radius:10px;display:grid;place-items:center;background:var(--wash);color:var(--sea);font-size:.9375rem;font-weight:700}
.crowd .name{font-weight:600}.crowd small{display:block;font-size:.875rem;color:var(--quiet)}
@media(max-width:54rem){.people>li{grid-template-columns:1fr auto}.people>li>:nth-child(2),.people>li>:nth-child(3){grid-column:1/-1}.people>li>:nth-child(4){grid-row:1;grid-column:2}
.three,.tokens{grid-template-columns:1fr}}
@media(max-width:40rem){.path{grid-template-columns:1fr;gap:1.25rem}.path li+li::before{inset-inline-start:50%;top:-.95rem;transform:rotate(135deg)}}
@media(max-width:26rem){.button{padding-inline:.875rem}}
@media(forced-colors:active){pre,.path li{border:1px solid}}
`.replaceAll('\n', '')

/** The gateway's look under another name and colour, with what the demo's pages need besides. */
export function demoLook(brand: Brand): Look {
  const css = createLook(brand).css + additions
  return { brand, css, cssHash: `sha256-${createHash('sha256').update(css).digest('base64')}` }
}
