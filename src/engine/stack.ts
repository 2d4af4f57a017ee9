import type { AgentInputItem } from '@openai/agents';
import { clockOf } from '../clock.ts';
import type { Layers, SessionLayer } from '../layer.ts';
import { invalidOption } from '../options.ts';
import type { Unstamped } from './clear-envelope.ts';
import { isDataLayer, isInverse } from './layer-kinds.ts';
import { placesOf, type Places } from './places.ts';

/** The checked layers around one session, with the properties of the whole stack that the engine needs. */
export interface Stack {
  /** Outermost first. */
  readonly layers: readonly SessionLayer[];
  /** A layer encrypts. */
  readonly sealed: boolean;
  /** Records are envelopes: a layer seals, or writes header fields. */
  readonly enveloped: boolean;
  /** A layer writes header fields. */
  readonly stamped: boolean;
  /** The layer by whose stamps items expire, else the outermost that stamps. */
  readonly expiring?: SessionLayer | undefined;
  /** The smallest bound of the stamping layers, see {@link SessionLayer.maxAhead}. */
  readonly maxAhead?: number | undefined;
  /** A layer has the option `clock`. */
  readonly hasOwnClock: boolean;
  /** A layer sees items at all; otherwise calls pass through untouched. */
  readonly transforms: boolean;
  /** A layer has `read`, so read items differ from those of the inner session. */
  readonly reads: boolean;
  /** The layer that answers reads. */
  readonly loading?: SessionLayer | undefined;
  readonly wantsRunContext: boolean;
  /** A layer that neither seals nor stamps has `read`: a visible item may differ from the stored one. */
  readonly views: boolean;
  /** The inner session does not get the caller's items, but envelopes or the output of a codec. */
  readonly opaque: boolean;
  /** How a record without an envelope is treated, from all stamping layers together. */
  readonly unstamped: Unstamped;
  /** The positions at which the layers work. */
  readonly places: Places;
  /** All `compare` hooks, outermost first; absent when no layer has one. */
  readonly compare?: ((item: AgentInputItem) => AgentInputItem) | undefined;
  /** Those of layers that also write: two items that they make equal are stored as one. */
  readonly compareWritten?: ((item: AgentInputItem) => AgentInputItem) | undefined;
  now(): number;
}

const HOOKS = [
  'write',
  'settled',
  'read',
  'compare',
  'load',
  'inspect',
  'removing',
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
      'an object with a name, such as encrypt() or audit() returns',
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
  checkKinds(layer);
  return layer;
}

function checkKinds(layer: SessionLayer): void {
  const { name, reads, unstamped } = layer;
  const invalid = (option: string, rule: string, value: unknown): never =>
    invalidOption('wrapSession', `${option} of layer "${name}"`, rule, value);
  for (const flag of ['wantsRunContext', 'stamps', 'expires', 'seals', 'unique'] as const) {
    const value: unknown = layer[flag];
    if (value !== undefined && typeof value !== 'boolean') invalid(flag, 'true, or absent', value);
  }
  if (reads !== undefined && reads !== 'inverse' && reads !== 'view') {
    invalid('reads', "'inverse' or 'view', or absent", reads);
  }
  if (reads !== undefined && layer.read === undefined)
    invalid('reads', 'absent for a layer without read', reads);
  if (
    reads === 'inverse' &&
    (layer.write === undefined || layer.seals === true || layer.load !== undefined)
  ) {
    invalid('reads', "'view', or absent, for a layer without write and for one that seals or loads", reads);
  }
  if (unstamped !== undefined && !UNSTAMPED.includes(unstamped)) {
    invalid('unstamped', `one of ${UNSTAMPED.map((each) => `'${each}'`).join(', ')}`, unstamped);
  }
}

/** The stack of layers whose order was checked. */
export function buildStack(layers: readonly SessionLayer[]): Stack {
  const compare = compareOf(layers);
  const compareWritten = compareOf(layers.filter((layer) => layer.write !== undefined));
  const sealed = layers.some((layer) => layer.seals === true);
  const stamping = layers.filter((layer) => layer.stamps === true);
  const expiring = stamping.find((layer) => layer.expires === true) ?? stamping[0];
  const ahead = stamping.flatMap(({ maxAhead }) => maxAhead ?? []);
  const stamped = stamping.length > 0;
  const enveloped = sealed || stamped;
  const loading = layers.find((layer) => layer.load !== undefined);
  return {
    layers,
    sealed,
    stamped,
    expiring,
    maxAhead: ahead.length > 0 ? Math.min(...ahead) : undefined,
    hasOwnClock: layers.some((layer) => layer.clock !== undefined),
    enveloped,
    opaque: enveloped || layers.some(isInverse),
    unstamped: strictest(stamping),
    places: placesOf(layers),
    transforms: layers.some(isDataLayer),
    reads: layers.some((layer) => layer.read !== undefined),
    wantsRunContext: layers.some((layer) => layer.wantsRunContext === true),
    views: layers.some((layer) => layer.read !== undefined && layer.seals !== true && layer.stamps !== true),
    loading,
    compare,
    compareWritten,
    now: stackClock(layers),
  };
}

/** The strictest first. */
const UNSTAMPED: readonly Unstamped[] = ['refuse', 'hide', 'keep', 'envelopes'];

/** The strictest option of the stamping layers. */
function strictest(stamping: readonly SessionLayer[]): Unstamped {
  const said = stamping.map(({ unstamped }) => unstamped);
  return UNSTAMPED.find((each) => said.includes(each)) ?? 'refuse';
}

function compareOf(layers: readonly SessionLayer[]): SessionLayer['compare'] {
  const compares = layers.flatMap((layer) =>
    layer.compare === undefined ? [] : [layer.compare.bind(layer)],
  );
  if (compares.length === 0) return undefined;
  return (item) => compares.reduce((current, compare) => compare(current), item);
}

/** The clock of these layers, by default that of the machine. */
export function stackClock(layers: readonly SessionLayer[]): () => number {
  const { name = '', clock } = layers.find((layer) => layer.clock !== undefined) ?? {};
  return clockOf(name, clock);
}
