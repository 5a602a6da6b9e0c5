"""The look of the report: light and dark by the reader's setting, one column on a phone."""

from typing import Final

CSS: Final = """
:root { color-scheme: light dark;
  --back: #f7f7f5; --card: #ffffff; --ink: #1d2126; --soft: #59616b; --line: #dcdfe3; --grid: #e6e8eb;
  --one: #1f6f8b; --two: #c96f33; --three: #6b5ba8; --four: #4d8b4a;
  --good: #1b7340; --bad: #b3261e; --mark: #ffe3c2; --chip: #e8f1f4; --chip-no: #fbeae0; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171a; --card: #1d2125; --ink: #e6e8ea; --soft: #a3abb4; --line: #343a41; --grid: #2b3036;
  --one: #56b0cf; --two: #e39a68; --three: #a99ae0; --four: #84c081;
  --good: #6cc98f; --bad: #f2857d; --mark: #6b431d; --chip: #213640; --chip-no: #43301f; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 3.4rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, footer { max-width: 74rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .3rem 0 .9rem; max-width: 62rem; }
.soft, .muted, footer { color: var(--soft); }
.small, footer { font-size: .85rem; }
nav { position: sticky; top: 0; z-index: 1; background: var(--back); border-bottom: 1px solid var(--line);
  margin-top: 1rem; }
nav ul { max-width: 74rem; margin: 0 auto; padding: .55rem 1.25rem; display: flex; gap: 1.2rem; list-style: none;
  overflow-x: auto; white-space: nowrap; overflow-wrap: normal; }
a { color: var(--one); }
section { margin: 1.6rem 0; padding: 1.4rem 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; margin: 1.3rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .8rem 0; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; }
code, pre { font: .85em/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.wide { overflow-x: auto; margin: .4rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; overflow-wrap: normal; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding-bottom: .35rem; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: middle; border-bottom: 1px solid var(--grid); }
thead th { color: var(--soft); font-weight: 600; font-size: .83rem; border-bottom-color: var(--line); }
tbody th { font-weight: 550; min-width: 8.5rem; }
td.num, th.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bars { width: 34%; min-width: 6rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr)); gap: 0 2rem; }
.columns .wide { margin: 0; }
td.soft { overflow-wrap: anywhere; min-width: 12rem; }
td.best { font-weight: 700; }
tr.group th { padding-top: 1rem; color: var(--soft); font-size: .83rem; }
svg.bar { display: block; width: 100%; height: .75rem; }
svg.chart { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11.5px; font-family: inherit; }
.s1 { fill: var(--one); } .s2 { fill: var(--two); } .s3 { fill: var(--three); } .s4 { fill: var(--four); }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.l1 { stroke: var(--one); } .l2 { stroke: var(--two); stroke-dasharray: 7 3; }
.l3 { stroke: var(--three); stroke-dasharray: 2 3; } .l4 { stroke: var(--four); stroke-dasharray: 9 3 2 3; }
.grid { stroke: var(--grid); stroke-width: 1; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: .4rem 0;
  font-size: .88rem; }
.legend svg { width: .8rem; height: .8rem; margin-right: .4rem; vertical-align: -.05rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1.2rem 1.6rem;
  margin: .8rem 0; }
figure { margin: 0; } figure h3 { margin: 0 0 .2rem; }
figcaption { color: var(--soft); font-size: .83rem; }
.curve { max-width: 36rem; margin-bottom: 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); gap: 1rem;
  margin: .8rem 0; }
.cards.narrow { grid-template-columns: repeat(auto-fill, minmax(min(13rem, 46%), 1fr)); }
.card { border: 1px solid var(--line); border-radius: 8px; padding: .8rem; min-width: 0; font-size: .9rem;
  overflow: hidden; contain: paint; }
.card dl { margin: .7rem 0 0; } .card dt { color: var(--soft); font-size: .78rem; margin-top: .45rem; }
.card dd { margin: 0; } .card p { margin: .4rem 0 0; }
.picture { display: flex; align-items: center; justify-content: center; background: #ffffff; border-radius: 6px;
  border: 1px solid var(--line); height: 11rem; padding: .4rem; overflow: hidden; }
.picture img { max-width: 100%; max-height: 100%; object-fit: contain; font-size: .75rem; color: #555; }
.picture.none { color: #5a5a5a; font-size: .8rem; text-align: center; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; }
.narrow .picture, .pair .picture { height: 8rem; }
.pair .label { display: block; font-size: .75rem; color: var(--soft); }
.chip { display: inline-block; background: var(--chip); border-radius: 99px; padding: .02rem .55rem;
  margin: .12rem .25rem .12rem 0; font-size: .83rem; }
.chip.no { background: var(--chip-no); }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 0 .1em; }
.query { display: grid; grid-template-columns: 8.5rem 1fr; gap: .4rem 1.2rem; border-top: 1px solid var(--line);
  padding: .9rem 0; }
.query > p { grid-column: 1 / -1; margin: 0; font-weight: 550; }
.query h4, .found h4 { margin: 0 0 .25rem; font-size: .8rem; font-weight: 500; color: var(--soft); }
.found { margin-bottom: .5rem; }
.found ol { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: .4rem; list-style: none; padding: 0;
  margin: 0; }
.query .picture { height: auto; aspect-ratio: 1; padding: .2rem; }
.picture.right { outline: 3px solid var(--good); outline-offset: -1px; }
.ok { color: var(--good); font-weight: 650; } .wrong { color: var(--bad); font-weight: 650; }
details { margin-top: .9rem; } summary { cursor: pointer; color: var(--soft); font-size: .85rem; }
pre { background: var(--back); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem;
  overflow-x: auto; white-space: pre; overflow-wrap: normal; }
footer { padding-bottom: 3rem; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: .8rem; padding-right: .8rem; }
  section { padding: 1rem .9rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  dl.facts { grid-template-columns: 1fr; } dl.facts dd { margin-bottom: .4rem; }
  .query { grid-template-columns: 1fr; } .own { max-width: 8.5rem; }
  tbody th { min-width: 6.5rem; }
  .found ol { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  table.noted thead { position: absolute; clip-path: inset(50%); }
  table.noted tr { display: grid; grid-template-columns: 1fr auto 4.8rem; border-bottom: 1px solid var(--grid);
    padding: .3rem 0; }
  table.noted :is(th, td) { border: 0; padding: .1rem .2rem; }
  table.noted :is(td.bars, td.soft, tr.group th) { grid-column: 1 / -1; width: auto; }
  table.noted td:empty { display: none; } }
@media print { nav, details { display: none; } section { break-inside: avoid-page; } }
"""
"""Held to the page by its hash: the content security policy lets no other style apply."""
