import type { ChaosResult } from './chaos.ts';
import { kindOf } from './plan.ts';

/** What came of all faults of one kind. */
export interface KindSummary {
  readonly kind: string;
  readonly faults: number;
  /** How many of them hit a process inside a transaction; only where that was tried. */
  readonly inside?: number;
  readonly duplicates: number;
  readonly mostDuplicates: number;
  readonly longestToNormalSeconds: number;
}

/** Sums up by kind of fault. */
export function summaryByKind(result: ChaosResult): readonly KindSummary[] {
  const { faults, explanation } = result;
  const kinds = new Map(faults.map(({ fault }) => [kindOf(fault), fault.action]));
  return [...kinds]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([kind, action]) => {
      const ofKind = faults.filter(({ fault }) => kindOf(fault) === kind);
      const duplicates = ofKind.map((fault) => explanation.byFault.get(fault)?.length ?? 0);
      const longestMs = Math.max(...ofKind.map(({ timeToNormalMs }) => timeToNormalMs));
      return {
        kind,
        faults: ofKind.length,
        ...(action === 'freeze-inside' && { inside: ofKind.filter(({ inside }) => inside).length }),
        duplicates: duplicates.reduce((sum, count) => sum + count, 0),
        mostDuplicates: Math.max(...duplicates),
        longestToNormalSeconds: Math.round(longestMs / 100) / 10,
      };
    });
}

/** The last line of a run. */
export function summarise(result: ChaosResult): string {
  const { acknowledged, missing, outOfOrder, duplicates, faults } = result;
  return (
    `acknowledged ${acknowledged}, missing ${missing}, out of order ${outOfOrder}, ` +
    `duplicates ${duplicates}, faults ${faults.length}`
  );
}
