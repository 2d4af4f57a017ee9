import { getOrMake } from './get-or-make.ts';

/** Numbers objects: the same object always gets the same number. Objects are held weakly. */
export function createIdentities(): (object: object) => number {
  const numbers = new WeakMap<object, number>();
  let last = 0;
  return (object) => getOrMake(numbers, object, () => ++last);
}
