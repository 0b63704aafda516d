import { test } from 'vitest';
import { raceRegistrations } from '../system/registration-race.ts';
import { useBillhook } from '../system/use-billhook.ts';

const billhook = useBillhook();

test('what is made after /register comes, and what is made after /unregister does not', async () => {
  await raceRegistrations(billhook.system, {
    loops: 4,
    rounds: 75,
  });
});
