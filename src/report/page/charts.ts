import { number, share } from './format.ts';
import { markup, type Html } from './html.ts';

/** One of the values that are shown beside each other. */
export interface Series {
  /** The class of its colour in the style. */
  readonly color: string;
  readonly name: string;
}

/** One row of {@link bars}: a value for each series. */
export interface Bar {
  readonly label: string;
  readonly values: readonly number[];
  /** Drawn as past the rule. */
  readonly past?: boolean;
}

/**
 * A table whose rows have a bar of SVG, stacked by series, and the numbers: the numbers do not depend on seeing the bars or their
 * colours. The bars have no text, so they stretch with the page.
 */
export function bars(
  caption: string,
  series: readonly Series[],
  rows: readonly Bar[],
  heading: string,
  empty: string,
): Html {
  const most = Math.max(...rows.map(({ values }) => sum(values)));
  if (!(most > 0))
    return markup`<figure>
      <figcaption>${caption}</figcaption>
      <p class="empty">${empty}</p>
    </figure>`;
  // A column of a series that has nothing is only noise.
  const shown = series.map((_, index) => index === 0 || rows.some(({ values }) => (values[index] ?? 0) > 0));
  const isShown = (_: unknown, index: number): boolean => shown[index] === true;
  const several = shown.filter(Boolean).length > 1;
  return markup`<figure class="chart">
    <table class="bars">
      <caption>${caption}</caption>
      <thead>
        <tr>
          <th scope="col">${heading}</th>
          <td aria-hidden="true"></td>
          ${series
            .filter(isShown)
            .map(
              ({ name, color }) => markup`<th scope="col" class="n">${several && swatch(color)}${name}</th>`,
            )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ label, values, past = false }) => markup`<tr${past && markup` class="past"`}>
          <th scope="row">${label}</th>
          <td class="bar" aria-hidden="true">${bar(values, series, most)}</td>
          ${values.filter(isShown).map((value) => markup`<td class="n${value === 0 && ' none'}">${number(value)}</td>`)}
        </tr>`,
        )}
      </tbody>
    </table>
  </figure>`;
}

function bar(values: readonly number[], series: readonly Series[], most: number): Html {
  let x = 0;
  const parts = values.map((value, index) => {
    if (value === 0) return undefined;
    // One of very many is still seen.
    const width = Math.max((100 * value) / most, 0.4);
    const part = markup`<rect
      class="${series[index]?.color}"
      x="${fixed(x)}"
      width="${fixed(Math.min(width, 100 - x))}"
      height="10"
    />`;
    x += width;
    return part;
  });
  return markup`<svg viewBox="0 0 100 10" preserveAspectRatio="none" focusable="false">
    <rect class="track" width="100" height="10" />
    ${parts}
  </svg>`;
}

function legend(series: readonly Series[]): Html {
  return markup`<ul class="legend">
    ${series.map(({ color, name }) => markup`<li>${swatch(color)}${name}</li>`)}
  </ul>`;
}

function swatch(color: string): Html {
  return markup`<svg viewBox="0 0 10 10" aria-hidden="true">
    <rect class="${color}" width="10" height="10" rx="2" />
  </svg>`;
}

/** One column of {@link columns}. */
export interface Column {
  readonly label: string;
  readonly values: readonly number[];
}

/** Columns over time, stacked by series, and the same as a table. */
export function columns(
  caption: string,
  unit: string,
  series: readonly Series[],
  all: readonly Column[],
  empty: string,
): Html {
  const most = Math.max(...all.map(({ values }) => sum(values)));
  if (!(most > 0))
    return markup`<figure>
      <figcaption>${caption}</figcaption>
      <p class="empty">${empty}</p>
    </figure>`;
  const total = all.reduce((before, { values }) => before + sum(values), 0);
  const first = all[0]?.label ?? '';
  const last = all.at(-1)?.label ?? '';
  const said = `${caption}: ${number(total)} from ${first} to ${last}, at most ${number(most)} in a ${unit}; ${series
    .map(({ name }, index) => {
      const part = all.reduce((before, { values }) => before + (values[index] ?? 0), 0);
      return `${name} ${share(part, total)}`;
    })
    .join(', ')}.`;
  return markup`<figure class="chart">
    <figcaption>${caption}</figcaption>
    ${series.length > 1 ? legend(series) : undefined}
    <div class="columns">
      <div class="scale" aria-hidden="true"><span>${number(most)}</span><span>0</span></div>
      <svg viewBox="0 0 ${10 * all.length} 100" preserveAspectRatio="none" role="img" aria-label="${said}">
        ${all.map(
          ({ values, label }, index) =>
            markup`<g
              ><title>${label}: ${number(sum(values))}</title
              >${stack(values, series, 10 * index + 1, most)}</g
            >`,
        )}
      </svg>
      <div class="axis" aria-hidden="true">
        <span>${first}</span><span>${last === first ? undefined : last}</span>
      </div>
    </div>
    <details>
      <summary>Numbers by ${unit}</summary>
      <div class="scroll" role="region" tabindex="0" aria-label="${caption}, numbers"><table>
        <thead>
          <tr>
            <th scope="col">${unit === 'day' ? 'Day (UTC)' : `First day of the ${unit} (UTC)`}</th>
            ${series.map(({ name }) => markup`<th scope="col" class="n">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${all.map(
            ({ label, values }) =>
              markup`<tr>
                <th scope="row">${label}</th>
                ${values.map((value) => markup`<td class="n${value === 0 && ' none'}">${number(value)}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table></div>
    </details>
  </figure>`;
}

function stack(
  values: readonly number[],
  series: readonly Series[],
  x: number,
  most: number,
): (Html | undefined)[] {
  let y = 100;
  return values.map((value, index) => {
    if (value === 0) return undefined;
    const height = Math.max((100 * value) / most, 0.8);
    y -= height;
    return markup`<rect
      class="${series[index]?.color}"
      x="${x}"
      y="${fixed(Math.max(y, 0))}"
      width="8"
      height="${fixed(height)}"
    />`;
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((before, value) => before + value, 0);
}

function fixed(value: number): string {
  return String(Math.round(100 * value) / 100);
}

/** A cell of {@link table}. */
export type Cell = Html | string | number | undefined;

/** A column of {@link table}. */
export interface TableColumn {
  readonly name: string;
  readonly isNumber?: boolean;
}

/** A table of facts; on a narrow page each row is a block. The first cell of a row is its heading. */
export function table(
  caption: string,
  heads: readonly TableColumn[],
  rows: readonly (readonly Cell[])[],
): Html {
  const numeric = heads.map(({ isNumber = false }) => isNumber && markup` class="n"`);
  const rowOf = ([first, ...cells]: readonly Cell[]): Html => markup`<tr role="row">
      <th scope="row" role="rowheader">${first}</th>${cells.map(
        (cell, index) => markup`
      <td role="cell" data-label="${heads[index + 1]?.name}"${numeric[index + 1]}>${shown(cell)}</td>`,
      )}
    </tr>`;
  return markup`<table class="stack" role="table">
    <caption>${caption}</caption>
    <thead role="rowgroup"><tr role="row">${heads.map(
      ({ name }, index) => markup`<th scope="col" role="columnheader"${numeric[index]}>${name}</th>`,
    )}</tr></thead>
    <tbody role="rowgroup">${rows.map(rowOf)}</tbody>
  </table>`;
}

/** On a narrow page a cell is a name and one element. */
function shown(cell: Cell): Html {
  return typeof cell === 'object' ? cell : markup`<span>${cell ?? '–'}</span>`;
}
