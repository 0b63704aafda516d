/** A bug that is planted into a copy of the engine, to see that the simulator finds it. */
export interface PlantedBug {
  /** What is wrong then. */
  readonly what: string;
  /** Each stands in its file once. */
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[];
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    what: 'progress passes a delivery in flight that is not parked',
    edits: [
      {
        file: 'drafting.ts',
        from: `if (delivery.state === 'settled') continue;`,
        to: `if (delivery.state === 'settled' || delivery.state === 'in_flight') continue;`,
      },
    ],
  },
  {
    what: 'a cursor is written one recording later than the one that moves progress past it',
    edits: [
      {
        file: 'drafting.ts',
        from: 'movedCursors: [...window.movedCursors].map(',
        to: 'movedCursors: (passed.progress > window.progress ? [] : [...window.movedCursors]).map(',
      },
      {
        file: 'drafting.ts',
        from: 'window.movedCursors.clear();',
        to: 'if (passed.progress === window.progress) window.movedCursors.clear();',
      },
    ],
  },
  {
    what: 'the log is read again from a cursor that progress has not reached',
    edits: [
      {
        file: 'refilling.ts',
        from: 'if (window.refillFrom > window.draftedProgress || ',
        to: 'if (',
      },
      {
        file: 'refilling.ts',
        from: '} else if (cursor.position <= window.draftedProgress) {',
        to: '} else if (cursor.position < Infinity) {',
      },
      {
        file: 'refilling.ts',
        from: 'if (endpointLane.cursor.position <= window.draftedProgress) {',
        to: 'if (endpointLane.cursor.position <= window.readPosition) {',
      },
      {
        file: 'refilling.ts',
        from: 'if (event.position <= window.draftedProgress) makeRow(',
        to: 'if (event.position <= window.readPosition) makeRow(',
      },
    ],
  },
  {
    what: 'what follows a claimed row is sent although that failed',
    edits: [
      {
        file: 'sending.ts',
        from: 'if (delivery.behind !== undefined) leaveToRow(state, delivery.behind);',
        to: `const next = delivery.behind;
  if (next?.state === 'waiting') {
    countClaimed(state, next, -1);
    enqueue(state, next);
  }`,
      },
      {
        file: 'sending.ts',
        from: 'import { beginAttempt, cancel, leaveToRow, settle }',
        to: 'import { beginAttempt, cancel, enqueue, leaveToRow, settle }',
      },
      {
        file: 'sending.ts',
        from: `import { hush, learn } from './calling.ts';\n`,
        to: `import { hush, learn } from './calling.ts';\nimport { countClaimed } from './claim-budget.ts';\n`,
      },
    ],
  },
  {
    what: 'results above progress are forgotten when a lane is taken over',
    edits: [
      {
        file: 'lane-window.ts',
        from: 'for (const { position, endpointId } of start.settledAhead) {\n    addTo(settledAhead, position, endpointId);\n  }',
        to: 'for (const _ of start.settledAhead) settledAhead.clear();',
      },
    ],
  },
  {
    what: 'something new of a pair is sent while rows of the pair wait',
    edits: [
      {
        file: 'endpoint-lane.ts',
        from: 'if (pair === undefined) {\n    addPair(',
        to: 'if (pair === undefined || pair.rows > 0) {\n    addPair(',
      },
    ],
  },
  {
    what: 'an endpoint that lags no more does not know what is not parked yet',
    edits: [
      {
        file: 'endpoint-lane.ts',
        from: `if (delivery.state === 'deferred') addRow(lane, pairOf(lane, delivery.event.invoiceId));`,
        to: '',
      },
    ],
  },
  {
    what: 'a late answer is taken in twice',
    edits: [
      {
        file: 'late-answers.ts',
        from: 'if (known === undefined && row?.inFlight === true && row.attempt === answer.attempt) {',
        to: 'if (row?.inFlight === true && row.attempt === answer.attempt) {',
      },
    ],
  },
  {
    what: 'sends begin although the lease is not safe any more',
    edits: [
      {
        file: 'sending.ts',
        from: 'if (now.monotonicMs >= state.leaseUntilMs) return;',
        to: '',
      },
    ],
  },
  {
    what: 'a slice is taken in although it does not go on where the window stands',
    edits: [
      {
        file: 'matching.ts',
        from: 'if (matched.event.position !== window.readPosition + 1) return;',
        to: 'if (matched.event.position <= window.readPosition) return;',
      },
      { file: 'matching.ts', from: ' || window.epoch !== slice.epoch', to: '' },
    ],
  },
  {
    what: 'a circuit that opened is never probed',
    edits: [
      {
        file: 'calling.ts',
        from: `if (endpoint.circuit.state === 'open') {
    state.wakeTimes.note(endpoint, endpoint.circuit.probeAtMs);
    hush(`,
        to: `if (endpoint.circuit.state === 'open') {
    hush(`,
      },
    ],
  },
  {
    what: 'rows of an endpoint that lost one of its subscriptions are sent all the same',
    edits: [
      {
        file: 'claiming.ts',
        from: 'return view === undefined || !options.matches(view, event);',
        to: 'return view === undefined;',
      },
    ],
  },
  {
    what: 'whoever waits for room at an origin is not let go when there is some',
    edits: [
      {
        file: 'scheduling.ts',
        from: 'origin.inFlight -= 1;\n  wakeWaiting(state, origin);',
        to: 'origin.inFlight -= 1;',
      },
    ],
  },
  {
    what: 'what a fast endpoint has under way counts as before when it becomes slow',
    edits: [
      {
        file: 'speed.ts',
        from: 'countFast(endpoint, -1, endpoint.inFlight);',
        to: 'countFast(endpoint, -1, 0);',
      },
    ],
  },
  {
    what: 'claimed rows use up the room for what is read',
    edits: [
      {
        file: 'state.ts',
        from: 'roomToQueue({ queued, pace,',
        to: 'roomToQueue({ queued, claimed, pace,',
      },
      { file: 'state.ts', from: '/ 1_000) - queued;', to: '/ 1_000) - queued - claimed;' },
    ],
  },
  {
    what: 'nothing bounds the pairs of all endpoints together',
    edits: [
      {
        file: 'recordings.ts',
        from: 'return hasMany || (blockedPairs > 0 && blockedPairsLeft(state) < 0);',
        to: 'return hasMany;',
      },
    ],
  },
  {
    what: 'refills go on while what they bring is not recorded',
    edits: [
      {
        file: 'refilling.ts',
        from: ' || window.refilledRows.length > 0) continue;',
        to: ') continue;',
      },
    ],
  },
];
