import type { SessionLayer } from '../layer.ts';
import { isInverse } from './layer-kinds.ts';

/**
 * The position at which each layer of a stack works. An entry on its way to the store passes `above`, `codecs` and
 * `below`, one on its way back the other way round.
 */
export interface Places {
  /** Layers that are no codecs, above the cache or the seal, outermost first. */
  readonly above: readonly SessionLayer[];
  /** Codecs above the cache or the seal. They work after all others there, which could not read their output. */
  readonly codecs: readonly SessionLayer[];
  /** From the layer that answers reads, or the one that seals, to the innermost. */
  readonly below: readonly SessionLayer[];
}

export function placesOf(layers: readonly SessionLayer[]): Places {
  const found = layers.findIndex((layer) => layer.load !== undefined || layer.seals === true);
  const boundary = found < 0 ? layers.length : found;
  const outside = layers.slice(0, boundary);
  return {
    above: outside.filter((layer) => !isInverse(layer)),
    codecs: outside.filter(isInverse),
    below: layers.slice(boundary),
  };
}
