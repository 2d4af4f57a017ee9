export { StrongroomError, isStrongroomError, type ErrorCode, type Written } from './errors.ts';
export type {
  CallKind,
  CallOrigin,
  Entry,
  Header,
  HiddenEntry,
  AppendStep,
  HistoryVersion,
  VersionAnswer,
  LayerIO,
  Layers,
  MaybePromise,
  SessionCall,
  Work,
  SessionLayer,
  VersionSource,
} from './layer.ts';
export type { Duration } from './options.ts';
export {
  audit,
  type AuditEvent,
  type AuditFlush,
  type AuditLayer,
  type AuditOptions,
  type AuditSink,
} from './layers/audit.ts';
export { wrapSession, type WrapSessionOptions, type Wrapped } from './wrap-session.ts';
export { attribute, type AgentEvents, type AttributeOptions } from './layers/attribute.ts';
export { authorize, type AuthorizeOptions } from './layers/authorize.ts';
export {
  complianceRunConfig,
  type ComplianceRunConfig,
  type ComplianceRunConfigOptions,
} from './compliance-run-config.ts';
export { generateKey, type GenerateKeyOptions } from './keys/generate-key.ts';
export type { KeyAlgorithm } from './keys/jwk.ts';
export {
  keyring,
  type KeyInfo,
  type Keyring,
  type KeyringOptions,
  type KeyState,
  type UnwrappedKey,
} from './keys/keyring.ts';
export type { KeyBinding, KeyProvider, WrapOptions, WrappedKey } from './keys/provider.ts';
export { cache, type CacheOptions } from './layers/cache.ts';
export { exclusive, type ExclusiveOptions } from './layers/exclusive.ts';
export { runExclusive } from './operations/run-exclusive.ts';
export { fallback, type Backup, type FallbackOptions } from './layers/fallback.ts';
export { setTimeSlice } from './slices.ts';
export { expire, type ExpireOptions } from './layers/expire.ts';
export { redact, type RedactOptions, type RedactionReport } from './layers/redact.ts';
export { minimize, type MinimizeOptions } from './layers/minimize.ts';
export { wrapStore } from './wrap-store.ts';
export type {
  AppendBatch,
  DeletionReport,
  Derived,
  PurgeOptions,
  PurgeReport,
  SessionOptions,
  SessionSummary,
  SessionsOptions,
  Store,
} from './stores/store.ts';
export {
  encrypt,
  type AllowPlaintextOptions,
  type DataKeyOptions,
  type EncryptOptions,
  type IntegrityFinding,
  type UndecryptablePolicy,
  type UndecryptableReason,
  type UndecryptableReference,
} from './layers/encrypt.ts';
export type {
  DekFilter,
  DekRecord,
  DekStore,
  DekTombstone,
  HoldRecord,
  HoldStore,
} from './keys/dek-store.ts';
export type { SuiteName } from './crypto/suite.ts';
export {
  trimHistory,
  type DroppedItem,
  type DropReason,
  type TrimHistoryOptions,
  type TrimReport,
} from './history/trim-history.ts';
export type { HistorySize } from './history/plan/size.ts';
export type { TokenCounter } from './history/token-counter.ts';
