export { fakeClock, type FakeClock } from './fake-clock.ts';
export { fakeKms, type FakeKms, type FakeKmsState } from './fake-kms.ts';
export type { KmsOptions } from '../kms/attempts.ts';
export {
  faultySession,
  InjectedFault,
  MUTATING_MEMBERS,
  type Fault,
  type FaultTime,
  type FaultySession,
} from './faulty-session.ts';
export { fixedKey, fixedKeyring } from './fixed-keyring.ts';
export { type SessionMember } from './intercept.ts';
export { layerChecks, layerContract, type LayerContractOptions } from './layer-contract.ts';
export { assertNoPlaintext, type PlaintextOptions } from './plaintext.ts';
export { recordingSession, type RecordedCall, type SessionRecording } from './recording-session.ts';
export { sampleItems } from './sample-items.ts';
export { assertSealed, type SealedOptions } from './sealed.ts';
export {
  sessionChecks,
  sessionContract,
  type SessionContractOptions,
  type TestApi,
} from './session-contract.ts';
export { storeContract, type StoreContractOptions } from './store-contract.ts';
