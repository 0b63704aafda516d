import type { Pool } from '@billhook/postgres';
import type { Addresses } from '../../system/system.ts';
import type { ProcessGroups } from '../measuring/cost.ts';

/** A Billhook that is measured, whatever processes it is made of. */
export interface MeasuredSystem extends AsyncDisposable {
  readonly addresses: Addresses;
  /** To prepare data and to look at what is recorded. */
  readonly pool: Pool;
  readonly lanes: number;
  /** All that works for it, as it runs now: our processes, Postgres, and the broker. */
  processes(): ProcessGroups;
}

/** As many as `BILLHOOK_LANES` has by default. */
export const DEFAULT_LANES = 16;
