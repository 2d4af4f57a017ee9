import { StrongroomError } from '../errors.ts';
import type { DescribedLayer, LayerKind } from '../session-contract.ts';

/**
 * Checks the order of a stack once, before any I/O, by the kinds of its layers.
 *
 * @param layers The layers of this stack, outermost first.
 * @param below Those of wrappers around the same session that other copies of this package made.
 * @throws {@link StrongroomError} `ERR_LAYER_ORDER` with the right order.
 */
export function checkOrder(layers: readonly DescribedLayer[], below: readonly DescribedLayer[]): void {
  const all = [...layers, ...below];
  const seen = new Set<string>();
  for (const layer of all) {
    if (is(layer, 'unique') && seen.has(layer.name)) {
      throw new StrongroomError(
        'ERR_LAYER_ORDER',
        `A stack takes one ${layer.name}() layer, but this one has two. Remove one of them.`,
      );
    }
    seen.add(layer.name);
  }
  const sealAt = all.findIndex((layer) => is(layer, 'seals'));
  const loadAt = all.findIndex((layer) => is(layer, 'loads'));
  // Another copy gets records of this one, not items: within one stack an envelope is made after all layers.
  const hiding = layers.find((layer) => is(layer, 'stamps') || is(layer, 'inverse'));
  for (const [index, layer] of all.entries()) {
    if (!is(layer, 'items')) continue;
    if (sealAt >= 0 && index > sealAt) {
      throw wrongOrder(all, `${layer.name} cannot be below ${all[sealAt]?.name}, which seals the items`);
    }
    // A cache may keep the output of a codec, because it never changes.
    if (loadAt >= 0 && index > loadAt && !is(layer, 'seals') && !is(layer, 'inverse')) {
      throw wrongOrder(
        all,
        `${layer.name} cannot be below ${all[loadAt]?.name}, which would cache its result`,
      );
    }
    if (hiding !== undefined && index >= layers.length && !RECORDS.some((kind) => is(layer, kind))) {
      throw wrongOrder(
        all,
        `${layer.name} is in a wrapper that another copy of strongroom made, and cannot read there what ${hiding.name} stores. Wrap the session once, with one copy`,
      );
    }
  }
}

/** Layers that do not read the content of items. */
const RECORDS: readonly LayerKind[] = ['seals', 'loads', 'inverse'];

function is({ kinds }: DescribedLayer, kind: LayerKind): boolean {
  return kinds.includes(kind);
}

function wrongOrder(layers: readonly DescribedLayer[], problem: string): StrongroomError {
  const right = [...layers].sort((a, b) => rank(a) - rank(b)).map((layer) => layer.name);
  return new StrongroomError(
    'ERR_LAYER_ORDER',
    `${problem}. Use this order, outermost first: [${right.join(', ')}].`,
  );
}

/** The order that always works: observers, then as the data travels from run() to the store. */
function rank(layer: DescribedLayer): number {
  if (is(layer, 'seals')) return 5;
  if (is(layer, 'inverse')) return 4;
  if (is(layer, 'loads')) return 3;
  if (is(layer, 'stamps')) return 2;
  return is(layer, 'items') ? 1 : 0;
}
