export { resilient, type ResilientOptions } from './resilient.ts';
