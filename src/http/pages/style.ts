/**
 * The style sheet, without its colours: `look.ts` puts those in front as custom properties. Ink on paper, one card, one
 * thing to decide; the sea at the foot of the page is the operator's colour. System fonts, nothing fetched.
 */
export const styleSheet = `
*{box-sizing:border-box}
html{font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;-webkit-text-size-adjust:100%}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;grid-template:auto 1fr auto auto/minmax(0,1fr);overflow-wrap:anywhere;color:var(--ink);
background:radial-gradient(48rem 24rem at 50% -6rem,var(--wash),transparent) no-repeat,var(--paper)}
header{padding:1.25rem 1.5rem;display:flex;gap:.75rem;align-items:center}
header svg{flex:none;overflow:visible}
header strong{font-size:1.0625rem;font-weight:650;letter-spacing:.005em}
main{width:100%;max-width:30rem;margin:0 auto;padding:clamp(.5rem,7vh,5rem) 1rem 2.5rem}
main.wide{max-width:58rem;padding-top:clamp(.5rem,4vh,3rem)}
.card{background:var(--card);border:1px solid var(--line);border-radius:16px;padding:clamp(1.25rem,5vw,2rem);
box-shadow:0 1px 2px var(--shade),0 12px 32px -12px var(--shade)}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem;font-weight:680;letter-spacing:-.015em;text-wrap:balance}
h2{font-size:.9375rem;margin:0 0 .625rem;font-weight:650}
p{margin:0 0 1rem;text-wrap:pretty}p:last-child,form:last-child{margin-bottom:0}
.quiet{color:var(--quiet)}.small{font-size:.875rem}.under{margin:1.125rem .25rem 0;text-align:center}
a{color:var(--sea);text-underline-offset:.15em}a:hover{text-decoration-thickness:2px}
:focus-visible{outline:3px solid var(--sea);outline-offset:2px;border-radius:8px}
.badge{display:grid;place-items:center;width:3rem;height:3rem;border-radius:50%;background:var(--wash);color:var(--sea);margin:0 0 1rem}
.badge.ok{background:var(--ok-wash);color:var(--ok)}.badge.no{background:var(--no-wash);color:var(--no)}
.badge svg{width:1.5rem;height:1.5rem;fill:none;stroke:currentColor;stroke-width:2.25;stroke-linecap:round;stroke-linejoin:round}

.choices{list-style:none;margin:1.25rem 0 0;padding:0;display:grid;gap:.5rem}
.choices a{display:flex;align-items:center;gap:.875rem;min-height:4rem;padding:.625rem .875rem;border:1px solid var(--soft);
border-radius:12px;color:inherit;text-decoration:none}
.choices a:hover{border-color:var(--sea);background:var(--wash)}
.choices a:hover .name{text-decoration:underline;text-decoration-color:var(--sea);text-underline-offset:.2em}
.choices .mark{flex:none;width:2.5rem;height:2.5rem;border-radius:10px;display:grid;place-items:center;background:var(--wash);
color:var(--sea);font-size:.9375rem;font-weight:700}
.choices a:hover .mark{background:var(--card)}
.choices .who{min-width:0;flex:1}.choices .name{font-weight:600;margin-inline-end:.5rem}
.choices small{display:block;font-size:.875rem;line-height:1.35;color:var(--quiet)}
.choices a::after{content:"";flex:none;width:.5rem;height:.5rem;margin-inline:.25rem;border:solid var(--quiet);border-width:2px 2px 0 0;transform:rotate(45deg)}
.pill{display:inline-block;vertical-align:.1em;font-size:.75rem;font-weight:600;padding:.125rem .5rem;border-radius:1rem;background:var(--wash);color:var(--sea)}
.choices a:hover .pill{background:var(--card)}
.search{margin:1.5rem 0 0;padding:1.25rem 0 0;border-top:1px solid var(--line)}
.alone{margin-top:1.25rem}

label{display:block;font-weight:550;font-size:.9375rem;margin:0 0 .375rem}
input+.small,.with+.small{margin-top:.375rem}
input{font:inherit;width:100%;min-height:3rem;padding:.5rem .875rem;border:1px solid var(--edge);border-radius:10px;background:var(--paper);color:var(--ink)}
input.code{font:650 1.375rem/1.2 var(--mono);letter-spacing:.1em;text-align:center;text-transform:uppercase;min-height:3.75rem}
input[aria-invalid=true]{border:2px solid var(--no)}
.with{display:grid;grid-template-columns:1fr auto;gap:.5rem}
button,.button{min-width:0;font:inherit;font-weight:650;min-height:3rem;padding:.625rem 1.25rem;border-radius:10px;border:1px solid var(--fill-edge);
background:var(--fill);color:var(--fill-ink);cursor:pointer;text-decoration:none;display:inline-grid;place-items:center;text-align:center}
button:hover,.button:hover{filter:brightness(1.06);text-decoration:underline;text-underline-offset:.2em}
.block{width:100%;margin-top:1rem}
.even,.second{background:var(--card);color:var(--sea);border:2px solid var(--sea)}.even:hover,.second:hover{background:var(--wash);filter:none}
.row{display:grid;grid-template-columns:1fr 1fr;gap:.75rem;margin-top:1.25rem}
.actions{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.5rem}

p.code{font:700 clamp(1.5rem,8vw,2rem)/1.2 var(--mono);letter-spacing:.08em;text-align:center;padding:1.125rem .5rem;margin:1.25rem 0;
border-radius:12px;background:var(--wash);color:var(--sea)}
dl{display:grid;grid-template-columns:minmax(5rem,max-content) 1fr;gap:.375rem 1.25rem;margin:1.25rem 0;font-size:.9375rem}
dl:last-child{margin-bottom:0}dt{color:var(--quiet)}dd{margin:0;min-width:0}
.foot{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.875rem}.foot dl{margin:0;font-size:inherit}
.mono{font-family:var(--mono);font-size:.875em}.more{white-space:nowrap}.ref{font-weight:650;letter-spacing:.03em;user-select:all}
.notice{border-radius:10px;padding:.75rem 1rem;margin:1.25rem 0;background:var(--no-wash);border-inline-start:4px solid var(--no)}
.todo{border-radius:12px;padding:1rem 1.125rem;margin:1.25rem 0 0;background:var(--wash)}.todo h2{margin-bottom:.25rem}

.chart{display:grid;grid-template-columns:1.25fr 1fr;gap:1rem;margin-top:1.5rem}
.chart section{border:1px solid var(--line);border-radius:12px;padding:1.125rem 1.25rem;min-width:0}
.chart dl{margin:0;grid-template-columns:minmax(4rem,10rem) 1fr;gap:.5rem 1rem}
.tag{display:inline-block;max-width:100%;border-radius:6px;padding:.0625rem .5rem;margin:0 .25rem .25rem 0;font-size:.875rem;background:var(--wash)}
.qr{display:block;width:100%;max-width:17rem;height:auto;margin:1rem auto}.apart{margin-top:1.5rem;padding-top:1.25rem;border-top:1px solid var(--line)}
[hidden]{display:none!important}
.list{margin:0 0 1rem;padding:0;list-style:none}.list li{margin:0 0 .375rem;padding-inline-start:1.5rem;position:relative}
.list li::before{position:absolute;inset-inline-start:0;content:"✓";color:var(--ok);font-weight:700}.list.no li::before{content:"–";color:var(--no)}.list.plain li::before{content:"•";color:var(--quiet)}
.between{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;justify-content:space-between;align-items:center}

.sea{display:block;width:100%;height:clamp(3rem,9vh,6rem);margin-bottom:-1px}
.sea .far{fill:var(--wave-far)}.sea .near{fill:var(--wave)}
footer{background:var(--wave);padding:.25rem 1.5rem 1.25rem;display:flex;flex-wrap:wrap;gap:.25rem 2rem;justify-content:space-between;font-size:.875rem}
footer ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
footer a,footer li>span{display:inline-block;padding:.5rem 0;min-height:1.5rem}footer a{color:var(--wave-ink)}footer li>span{color:var(--wave-ink);font-weight:650}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}

@media(max-width:46rem){.chart{grid-template-columns:1fr}}
@media(max-width:26rem){header{padding:1rem 1.25rem}.row{gap:.5rem}.row button{padding-inline:.75rem}dl{gap:.25rem 1rem}
.chart dl,.foot dl{grid-template-columns:1fr;gap:0}.chart dd,.foot dd{margin-bottom:.5rem}.with{grid-template-columns:1fr}}
@media(prefers-contrast:more){.card,.choices a,input{border-color:currentColor}.quiet,dt,small{color:var(--ink)!important}}
@media(forced-colors:active){.tag,.pill,.badge,.todo,.notice,p.code{border:1px solid}}
@media(prefers-reduced-motion:no-preference){.choices a,button,.button{transition:background .12s,border-color .12s,filter .12s}}
@media print{.sea,header svg,form{display:none}body{background:none}.card{box-shadow:none}footer{background:none}}
`.replaceAll('\n', '')
