import { describe, test } from 'vitest';
import { openDapr } from '../../src/stores/dapr.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { daprSidecar } from '../support/dapr-sidecar.ts';

describe('openDapr, over a sidecar of the tests', () => {
  const { fetch } = daprSidecar();
  storeContract({ describe, test }, { open: () => openDapr('statestore', { fetch }) });
});
