import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { Layers, SessionLayer } from '../layer.ts';
import { invalidOption } from '../options.ts';

/** The layers around one session, checked, with what the engine needs to know of them as a whole. */
export interface Stack {
  /** Outermost first. */
  readonly layers: readonly SessionLayer[];
  /** A layer encrypts. */
  readonly sealed: boolean;
  /** Records are envelopes: a layer seals, or writes header fields. */
  readonly enveloped: boolean;
  /** A layer writes header fields. */
  readonly stamped: boolean;
  /** The layer that stamps, if one does. */
  readonly stamping?: SessionLayer;
  /** A layer brought the clock. */
  readonly hasOwnClock: boolean;
  /** A layer sees items at all; otherwise calls pass through untouched. */
  readonly transforms: boolean;
  /** A layer has `read`, so what comes back is not what the inner session holds. */
  readonly reads: boolean;
  /** Position of the layer that answers reads, -1 when none does. */
  readonly loadAt: number;
  readonly wantsRunContext: boolean;
  /** A layer changes what is read and not what is stored, or both: an item that was read may not be what is stored. */
  readonly views: boolean;
  /** A layer has `write` and a `read` that undoes it: what is stored is no item that could be written again. */
  readonly inverts: boolean;
  /** All `compare` hooks, outermost first; absent when no layer has one. */
  readonly compare?: (item: AgentInputItem) => AgentInputItem;
  /** Those of layers that also write: two items that they make equal are stored as one. */
  readonly compareWritten?: (item: AgentInputItem) => AgentInputItem;
  now(): number;
}

const HOOKS = [
  'write',
  'read',
  'compare',
  'load',
  'inspect',
  'mutation',
  'matches',
  'opensAs',
  'opensBy',
  'stillOpens',
  'refused',
  'around',
] as const;

/** One list, outermost first. */
export function flattenLayers(layers: Layers): SessionLayer[] {
  if (!Array.isArray(layers)) return invalidOption('wrapSession', 'layers', 'an array of layers', layers);
  const flat: SessionLayer[] = [];
  for (const layer of layers as readonly (SessionLayer | Layers)[]) {
    if (Array.isArray(layer)) flat.push(...flattenLayers(layer as Layers));
    else flat.push(checkLayer(layer as SessionLayer));
  }
  return flat;
}

function checkLayer(layer: SessionLayer): SessionLayer {
  if (typeof layer !== 'object' || layer === null || typeof layer.name !== 'string' || layer.name === '') {
    return invalidOption(
      'wrapSession',
      'each layer',
      'an object with a name, as encrypt() or audit() make',
      layer,
    );
  }
  for (const hook of HOOKS) {
    if (layer[hook] !== undefined && typeof layer[hook] !== 'function') {
      return invalidOption(
        'wrapSession',
        `the hook ${hook} of layer "${layer.name}"`,
        'a function',
        layer[hook],
      );
    }
  }
  return layer;
}

/** Whether the layer sees items; one that does not may stand anywhere. */
export function isDataLayer(layer: SessionLayer): boolean {
  return (
    layer.seals === true ||
    layer.stamps === true ||
    layer.write !== undefined ||
    layer.read !== undefined ||
    layer.compare !== undefined ||
    layer.load !== undefined
  );
}

/**
 * Checks the order once, before any I/O.
 *
 * @throws {@link StrongroomError} `ERR_LAYER_ORDER` with the right order.
 */
export function buildStack(layers: readonly SessionLayer[]): Stack {
  const seen = new Set<string>();
  for (const layer of layers) {
    if ((layer.unique === true || layer.seals === true || layer.load !== undefined) && seen.has(layer.name)) {
      throw new StrongroomError(
        'ERR_LAYER_ORDER',
        `A stack takes one ${layer.name}() layer, this one has two. Remove one of them.`,
      );
    }
    seen.add(layer.name);
  }
  const sealAt = layers.findIndex((layer) => layer.seals === true);
  const loadAt = layers.findIndex((layer) => layer.load !== undefined);
  for (const [index, layer] of layers.entries()) {
    if (!isDataLayer(layer)) continue;
    if (sealAt >= 0 && index > sealAt) {
      throw wrongOrder(
        layers,
        `${layer.name} cannot stand below ${layers[sealAt]?.name}, where items are sealed`,
      );
    }
    if (loadAt >= 0 && index > loadAt && layer.seals !== true) {
      throw wrongOrder(
        layers,
        `${layer.name} cannot stand below ${layers[loadAt]?.name}, which would keep its result`,
      );
    }
  }
  const compare = compareOf(layers);
  const compareWritten = compareOf(layers.filter((layer) => layer.write !== undefined));
  const { clock } = layers.find((layer) => layer.clock !== undefined) ?? {};
  const viewing = layers.filter(
    (layer) => layer.read !== undefined && layer.seals !== true && layer.stamps !== true,
  );
  const sealed = sealAt >= 0;
  const stamping = layers.find((layer) => layer.stamps === true);
  const stamped = stamping !== undefined;
  return {
    layers,
    sealed,
    stamped,
    ...(stamping !== undefined && { stamping }),
    hasOwnClock: clock !== undefined,
    enveloped: sealed || stamped,
    transforms: layers.some(isDataLayer),
    reads: layers.some((layer) => layer.read !== undefined),
    loadAt,
    wantsRunContext: layers.some((layer) => layer.wantsRunContext === true),
    views: viewing.length > 0,
    inverts: viewing.some((layer) => layer.write !== undefined && layer.compare === undefined),
    ...(compare !== undefined && { compare }),
    ...(compareWritten !== undefined && { compareWritten }),
    now: () => readClock(clock ?? Date.now),
  };
}

function compareOf(layers: readonly SessionLayer[]): SessionLayer['compare'] {
  const compares = layers.flatMap((layer) =>
    layer.compare === undefined ? [] : [layer.compare.bind(layer)],
  );
  if (compares.length === 0) return undefined;
  return (item) => compares.reduce((current, compare) => compare(current), item);
}

function readClock(clock: () => number): number {
  const now = clock();
  if (!Number.isFinite(now) || now < 0) {
    throw new StrongroomError(
      'ERR_CLOCK',
      'The clock must return Unix milliseconds, a finite number that is not negative.',
    );
  }
  return Math.floor(now);
}

function wrongOrder(layers: readonly SessionLayer[], problem: string): StrongroomError {
  const right = [...layers].sort((a, b) => rank(a) - rank(b)).map((layer) => layer.name);
  return new StrongroomError(
    'ERR_LAYER_ORDER',
    `${problem}. Use this order, outermost first: [${right.join(', ')}].`,
  );
}

/** The order that always works: observers, then as the data travels from run() to the store. */
function rank(layer: SessionLayer): number {
  if (layer.seals === true) return 4;
  if (layer.load !== undefined) return 3;
  if (layer.stamps === true) return 2;
  return isDataLayer(layer) ? 1 : 0;
}
