import { faultMatrix } from './cells.ts';

faultMatrix(true);
