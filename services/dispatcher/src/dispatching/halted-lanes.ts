import type { HaltReason, LaneSlice } from '@billhook/event-log';
import type { Log } from '@billhook/runtime';

import type { ReadRequest } from '../engine/effect.ts';

/** Why a lane that this process owns is not read on. */
export interface HaltedLane {
  readonly epoch: number;
  readonly position: number;
  readonly reason: HaltReason;
}

/**
 * The lanes that cannot be read on without skipping something. Each is said once, and looked at again
 * now and then: a topic that is being filled again becomes whole by itself.
 */
export interface HaltedLanes {
  /** Whether a lane is to be read now. */
  mayRead(request: ReadRequest): boolean;
  /** It cannot be read on. */
  halt(request: ReadRequest, why: Omit<HaltedLane, 'epoch'> & { readonly cause?: unknown }): void;
  /** Nothing of it contradicts what is known. */
  sound(request: ReadRequest, slice: LaneSlice): void;
  /** Those that are halted, of the lanes that are owned under these epochs. */
  of(owned: ReadonlyMap<number, number>): ReadonlyMap<number, HaltedLane>;
}

const LOOK_AGAIN_AFTER_MS = 1_000;

/** Makes a list without halted lanes. */
export function createHaltedLanes(deps: {
  readonly log: Log;
  readonly monotonicMs: () => number;
}): HaltedLanes {
  const { log, monotonicMs } = deps;
  const halted = new Map<number, HaltedLane & { readonly lookAtMs: number }>();

  /** What stopped another epoch does not count: another owner may have been. */
  function find({ lane, epoch }: ReadRequest) {
    const found = halted.get(lane);
    return found?.epoch === epoch ? found : undefined;
  }

  return {
    mayRead(request) {
      const found = find(request);
      return found === undefined || monotonicMs() >= found.lookAtMs;
    },
    halt(request, { position, reason, cause }) {
      const { lane, epoch } = request;
      const before = find(request);
      halted.set(lane, { epoch, position, reason, lookAtMs: monotonicMs() + LOOK_AGAIN_AFTER_MS });
      if (before?.position === position && before.reason === reason) return;
      log.error({ lane, position, reason, err: cause }, 'a lane is halted: nothing is skipped');
    },
    sound(request, slice) {
      const found = find(request);
      if (found === undefined || !isDecisive(slice)) return;
      halted.delete(request.lane);
      const { lane } = request;
      log.info({ lane, position: found.position, reason: found.reason }, 'the lane goes on');
    },
    of: (owned) => new Map([...halted].filter(([lane, { epoch }]) => owned.get(lane) === epoch)),
  };
}

/** A log that is still looking, or has lost what stood there, says nothing of what follows. */
function isDecisive({ after, predecessor, events }: LaneSlice): boolean {
  if (events.length > 0 || predecessor.kind === 'event') return true;
  return after === 0 && predecessor.kind === 'none';
}
