/** The style of all pages: no font, image or file from elsewhere. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --panel: #ffffff; --ink: #1b1f24; --soft: #555c66; --line: #dcdfe3; --track: #eceef0;
  --accent: #0b5d66; --focus: #0b5d66;
  --good: #176639; --notice: #7d4c00; --problem: #a61b2b;
  --kept: #2f7f88; --due: #c26a00; --held: #6d55b5; --failure: #c2374a;
  --s0: #2f7f88; --s1: #c26a00; --s2: #6d55b5; --s3: #a8456f; --s4: #587b1f; --s5: #6b7480;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161a; --panel: #191e24; --ink: #e7e9ec; --soft: #a7afb9; --line: #313943; --track: #262d35;
    --accent: #7fd0d8; --focus: #7fd0d8;
    --good: #7ed49c; --notice: #f0b45c; --problem: #ff9aa5;
    --kept: #4aa9b3; --due: #e08f2a; --held: #a28ce6; --failure: #ee6a7b;
    --s0: #4aa9b3; --s1: #e08f2a; --s2: #a28ce6; --s3: #d977a2; --s4: #94b84f; --s5: #97a1ad;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  overflow-wrap: break-word;
}
header, main, footer { max-width: 66rem; margin-inline: auto; padding-inline: clamp(1rem, 4vw, 2.5rem); }
header { padding-block: clamp(1.5rem, 5vw, 3.5rem) 1rem; }
h1, h2, h3 { line-height: 1.2; letter-spacing: -0.012em; text-wrap: balance; margin: 0; }
h1 { font-size: clamp(1.75rem, 5.5vw, 2.6rem); font-weight: 650; }
h2 { font-size: 1.35rem; font-weight: 650; }
h3 { font-size: 1rem; font-weight: 650; margin-block: 1.75rem .5rem; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--accent); text-underline-offset: .18em; }
a:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible, textarea:focus-visible {
  outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px;
}
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--panel); padding: .5rem 1rem; z-index: 1; }
.kicker { color: var(--accent); font-size: .8125rem; font-weight: 650; letter-spacing: .08em; text-transform: uppercase; margin: 0 0 .4rem; }
.soft, .note { color: var(--soft); }
.note { font-size: .875rem; }
code, .id, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: .875em; }
.id { overflow-wrap: anywhere; } .id.short { white-space: nowrap; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; padding: 0; margin: 1.25rem 0 0; font-size: .9375rem; }
header > nav:first-child { margin-bottom: clamp(1.25rem, 4vw, 2.25rem); }
header > nav:first-child ul { margin: 0; }
h1.id { font-size: clamp(1.3rem, 4.5vw, 1.9rem); }
section { padding-block: 2rem; border-top: 1px solid var(--line); }
section > h2 { margin-bottom: .35rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1px; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; margin: 1rem 0 0; }
.figures > div { box-shadow: 0 0 0 1px var(--line); padding: .9rem 1.1rem 1rem; }
.figures dt { color: var(--soft); font-size: .875rem; }
.figures dd { margin: .1rem 0 0; font-size: 1.6rem; font-weight: 620; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; line-height: 1.2; }
.figures .date { font-size: 1.2rem; white-space: nowrap; line-height: 1.6; }
.figures small { display: block; color: var(--soft); font-size: .8125rem; font-weight: 400; letter-spacing: 0; margin-top: .2rem; line-height: 1.35; }
.findings { list-style: none; margin: 1rem 0 0; padding: 0; display: grid; gap: .5rem; }
.findings li { display: grid; grid-template-columns: 6.2rem 1fr; gap: .25rem .75rem; background: var(--panel); border: 1px solid var(--line); border-left: 4px solid var(--mark); border-radius: 8px; padding: .65rem 1rem; }
.findings strong { color: var(--mark); font-size: .875rem; font-weight: 650; line-height: 1.7; }
.findings .step { color: var(--soft); }
.good { --mark: var(--good); } .notice { --mark: var(--notice); } .problem { --mark: var(--problem); }
.word { color: var(--mark); font-weight: 600; white-space: nowrap; }
figure { margin: 1.25rem 0 0; }
figcaption { font-weight: 650; margin-bottom: .5rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 0 0 .5rem; font-size: .875rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .4rem; }
thead th svg { width: .7rem; height: .7rem; margin-right: .35rem; }
.legend svg { width: .75rem; height: .75rem; flex: none; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 650; padding-bottom: .35rem; }
table.stack { margin-top: 1.25rem; }
h2 + table.stack { margin-top: .75rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; }
thead th { color: var(--soft); font-size: .8125rem; font-weight: 500; vertical-align: bottom; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; }
.none { color: var(--soft); }
.stack .n:not(:last-child) { padding-right: 1.25rem; }
.stack thead .n { white-space: normal; }
.bars th[scope=row] { white-space: nowrap; font-size: .9375rem; }
.bars .bar { width: 100%; padding-block: .6rem; vertical-align: middle; }
.bars .n { font-size: .9375rem; }
.bars thead th { font-size: .8125rem; white-space: nowrap; }
.bars .bar svg { display: block; width: 100%; min-width: 4.5rem; height: .85rem; border-radius: 3px; }
.bars .past th, .bars .past .n:not(.none) { color: var(--notice); }
.track { fill: var(--track); }
.kept, .success { fill: var(--kept); } .due { fill: var(--due); } .held { fill: var(--held); } .failure { fill: var(--failure); }
.s0 { fill: var(--s0); } .s1 { fill: var(--s1); } .s2 { fill: var(--s2); } .s3 { fill: var(--s3); } .s4 { fill: var(--s4); } .s5 { fill: var(--s5); }
.columns { display: grid; grid-template-columns: auto 1fr; gap: .25rem .5rem; }
.columns svg { width: 100%; height: 9rem; display: block; border-bottom: 1px solid var(--soft); background: linear-gradient(var(--line), var(--line)) top/100% 1px no-repeat; }
.columns .axis { grid-column: 2; display: flex; justify-content: space-between; }
.columns .scale { display: flex; flex-direction: column; justify-content: space-between; text-align: right; }
.columns .axis, .columns .scale { font-size: .8125rem; color: var(--soft); font-variant-numeric: tabular-nums; }
details { margin-top: .75rem; }
details .scroll { overflow-x: auto; margin-top: .5rem; }
details thead .n { white-space: normal; overflow-wrap: anywhere; min-width: 4.5rem; }
summary { cursor: pointer; color: var(--accent); font-size: .9375rem; width: fit-content; }
.two { display: grid; gap: 0 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); align-items: start; }
.two > * { min-width: 0; }
footer { padding-block: 0 4rem; }
footer::before { content: ''; display: block; border-top: 1px solid var(--line); padding-bottom: 1.5rem; }
.empty { color: var(--soft); background: var(--panel); border: 1px dashed var(--line); border-radius: 8px; padding: .8rem 1rem; max-width: none; }
button, .button { font: inherit; font-weight: 600; color: var(--paper); background: var(--accent); border: 0; border-radius: 7px; padding: .55rem 1.1rem; cursor: pointer; }
input, textarea { font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--soft); border-radius: 7px; padding: .5rem .7rem; width: 100%; }
label { display: block; font-weight: 600; margin-bottom: .25rem; }
form.line { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin-top: 1rem; }
form.line > div { flex: 1 1 14rem; }
form.card { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.25rem; margin-top: 1.25rem; max-width: 46rem; }
form.card button { margin-top: .9rem; }
.turn { border: 1px solid var(--line); border-radius: 10px; background: var(--panel); margin-top: 1.25rem; overflow: hidden; }
.turn > header { max-width: none; margin: 0; padding: .55rem 1.1rem; border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: .1rem 1rem; align-items: baseline; }
.turn h3 { margin: 0; }
.item { padding: .75rem 1.1rem; border-left: 4px solid var(--line); }
.item + .item { border-top: 1px solid var(--line); }
.item.user { border-left-color: var(--accent); }
.item p { max-width: none; white-space: pre-wrap; margin: .15rem 0 0; overflow-wrap: anywhere; }
.item .who { font-size: .8125rem; color: var(--soft); font-weight: 600; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .35rem 0 0; background: var(--track); border-radius: 6px; padding: .6rem .75rem; }
@media (max-width: 40rem) {
  .findings li { grid-template-columns: 1fr; }
  .bars th[scope=row], .bars .n { font-size: .8125rem; }
  .bars th, .bars td { padding-right: .5rem; }
  .bars thead th { font-size: .75rem; }
  .bars th[scope=row] { white-space: normal; overflow-wrap: anywhere; min-width: 5.6rem; }
  .bars .bar svg { min-width: 3rem; }
}
@media screen and (max-width: 54rem) {
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack, .stack caption, .stack tbody, .stack tr, .stack th, .stack td { display: block; width: auto; }
  .stack tr { border-bottom: 1px solid var(--line); padding-block: .6rem; }
  .stack th[scope=row] { border: 0; padding: 0 0 .15rem; font-weight: 600; }
  .stack td, .stack .n { border: 0; padding: .1rem 0; display: flex; justify-content: space-between; gap: 1rem; text-align: right; white-space: normal; }
  .stack td::before { content: attr(data-label); color: var(--soft); text-align: left; flex: none; }
  .stack td > * { min-width: 0; }
}
@media print {
  :root { --paper: #fff; --panel: #fff; }
  @page { margin: 16mm; }
  body { font-size: 10pt; }
  header, main, footer { max-width: none; padding-inline: 0; }
  nav, .skip, form { display: none; }
  section, figure, tr, .findings li { break-inside: avoid; }
  section { break-inside: auto; padding-block: 1rem; }
  h2, h3, figcaption, caption { break-after: avoid; }
  .stack { font-size: 8.5pt; }
  .stack th, .stack td, .stack .n { padding-right: .5rem; }
  .stack thead th { white-space: normal; }
  svg, .findings li, .figures > div { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
`;
