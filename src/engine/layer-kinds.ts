import type { SessionLayer } from '../layer.ts';
import type { DescribedLayer, LayerKind } from '../session-contract.ts';

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

/** Whether `read` undoes `write`, see {@link SessionLayer.reads}. A seal does, too, but is a kind of its own. */
export function isInverse(layer: SessionLayer): boolean {
  if (layer.seals === true) return false;
  if (layer.reads !== undefined) return layer.reads === 'inverse';
  return isUndeclaredInverse(layer) && layer.stamps !== true;
}

/** Whether `read` may undo `write`, as far as the hooks show. */
export function isUndeclaredInverse(layer: SessionLayer): boolean {
  return (
    layer.reads === undefined &&
    layer.write !== undefined &&
    layer.read !== undefined &&
    layer.compare === undefined &&
    layer.seals !== true
  );
}

/** The properties of a layer for the order check, for this and any other copy of the package. */
export function describeLayer(layer: SessionLayer): DescribedLayer {
  const is: Readonly<Record<LayerKind, boolean>> = {
    items: isDataLayer(layer),
    seals: layer.seals === true,
    stamps: layer.stamps === true,
    expires: layer.expires === true,
    // Two layers that seal, or that answer reads, cannot work in one stack.
    unique: layer.unique === true || layer.seals === true || layer.load !== undefined,
    loads: layer.load !== undefined,
    inverse: isInverse(layer),
  };
  const kinds = (Object.keys(is) as LayerKind[]).filter((kind) => is[kind]);
  return Object.freeze({ name: layer.name, kinds: Object.freeze(kinds) });
}
