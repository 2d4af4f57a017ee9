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
export {
  audit,
  type AuditEvent,
  type AuditLayer,
  type AuditOptions,
  type AuditSink,
} from './layers/audit.ts';
