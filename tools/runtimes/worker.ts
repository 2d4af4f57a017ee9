/**
 * The suite as a worker of workerd, which `workerd test` runs: a binding holds the input, the console gets the
 * sealed records.
 */
import { smoke, type Given } from './smoke.ts';

interface Env {
  readonly GIVEN: Given;
}

const worker: { test(controller: unknown, env: Env): Promise<void> } = {
  async test(_controller, env) {
    console.log(`sealed ${JSON.stringify(await smoke(env.GIVEN))}`);
  },
};

export default worker;
