export { fence } from './fence.ts';
export type { OwnedLane } from './fence.ts';
export { createLaneLeases } from './lane-leases.ts';
export type { LaneLeaseOptions, LaneLeases } from './lane-leases.ts';
export type { LaneHolder } from './lane-holdings.ts';
export { laneLeaseMigrations } from './migrations.ts';
