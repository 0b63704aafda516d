import { startReceiver } from '@billhook/testing';
import type { Receiver, ReceiverOptions } from '@billhook/testing';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { connect } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Registration } from './rest-calls.ts';
import { canHaveSystem, createSystem } from './create-system.ts';
import type { System, SystemSettings } from './system.ts';

/** A running system, and what a test needs to talk to it and to be talked to. */
export interface Billhook extends Connection {
  readonly system: System;
  /** Starts a receiver that is closed after the test. */
  startReceiver(options?: ReceiverOptions): Promise<Receiver>;
  /** Registers an address until the end of the test. */
  register(
    event: string,
    url: string,
    filter?: object,
  ): Promise<Registration & { readonly secret: string }>;
}

/**
 * Starts one system for a test file. After each test nothing is registered and no receiver is open
 * any more, so that tests do not see each other's webhooks.
 */
export function useBillhook(settings: SystemSettings = {}): Billhook {
  let system: System | undefined;
  let connection: Connection | undefined;
  let registered: (readonly [event: string, url: string])[] = [];
  let receivers: Receiver[] = [];

  beforeAll(async () => {
    if (!canHaveSystem()) return;
    system = await createSystem(settings);
    await system.start();
    connection = connect(system.addresses);
  });
  beforeEach((test) => {
    test.skip(!canHaveSystem(), 'no Kafka broker can be had');
    registered = [];
    receivers = [];
  });
  afterEach(async () => {
    for (const [event, url] of registered) {
      // The test may have unregistered it: then the answer is 404.
      await connection?.rest.send('/unregister', JSON.stringify({ event, url }));
    }
    await Promise.all(receivers.map((receiver) => receiver.close()));
  });
  afterAll(async () => {
    connection?.close();
    await system?.remove();
  });

  return {
    get system() {
      return existing(system);
    },
    get rest() {
      return existing(connection).rest;
    },
    get invoices() {
      return existing(connection).invoices;
    },
    get endpoints() {
      return existing(connection).endpoints;
    },
    get deliveries() {
      return existing(connection).deliveries;
    },
    get clients() {
      return existing(connection).clients;
    },
    close: () => existing(connection).close(),
    async startReceiver(options) {
      const receiver = await startReceiver(options);
      receivers.push(receiver);
      return receiver;
    },
    async register(event, url, filter) {
      registered.push([event, url]);
      const registration = await existing(connection).rest.register(event, url, filter);
      return { ...registration, secret: registration.secret ?? '' };
    },
  };
}

function existing<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('the system exists from beforeAll on');
  return value;
}
