export { StrongroomError, isStrongroomError, type ErrorCode } from './errors.ts';
export type {
  CallKind,
  Entry,
  Header,
  HiddenEntry,
  LayerIO,
  Layers,
  SessionCall,
  SessionLayer,
} from './layer.ts';
