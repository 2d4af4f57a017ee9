export { observe, type ObserveOptions } from './observe.ts';
