import type { Mutant } from './mutant.ts'

const hub = 'unit/events/events.test.ts'
const webhook = 'unit/events/webhooks/webhook.test.ts'
const formats = 'unit/events/formats/formats.test.ts'
const signature = 'unit/events/webhooks/signature.test.ts'
const served = 'http/events.test.ts'

/** No event that webhooks wait for is lost, and none comes out of order */
export const events: Mutant[] = [
  {
    name: 'events are written after the change of which they tell',
    find: 'const added = this.#events.add(change, events) await change.commit(options)',
    replace: `const later = this.#index.change(); const added = this.#events.add(later, events)
      await later.commit(options); await change.commit(options)`,
    tests: [hub],
  },
  {
    name: 'a change with events is not synced',
    find: 'wanted.map(event => ({ ...event, time })), { durable: true }',
    replace: 'wanted.map(event => ({ ...event, time })), { durable: false }',
    tests: [hub],
  },
  {
    name: 'events are told in the order in which their changes end',
    find: 'while (this.#batches[0]?.isSettled === true) { const { added, events } = this.#batches.shift()!',
    replace: `for (let i = this.#batches.findIndex(({ isSettled }) => isSettled); i !== -1;
      i = this.#batches.findIndex(({ isSettled }) => isSettled)) {
      const { added, events } = this.#batches.splice(i, 1)[0]!`,
    tests: [hub],
  },
  {
    name: 'a pull is told after a push that came later',
    find: '[...this.#gathered.splice(0), ...described].map(',
    replace: '(described.length === 0 ? this.#gathered.splice(0) : described).map(',
    tests: [hub],
  },
  {
    name: 'ids begin anew after a restart',
    find: 'this.#ids.continueAfter(this.#told)',
    replace: 'this.#told.at(0)',
    tests: [hub],
  },
  {
    name: 'who was not there goes on as if nothing had happened meanwhile',
    find: 'this.#memory?.clear()',
    replace: '',
    tests: [hub],
  },
  {
    name: 'who is too slow is not told what he missed',
    find: 'if (last !== undefined && !(await this.#events.has(last))) {',
    replace: 'if (last === "") {',
    tests: [hub],
  },
  {
    name: 'old events are kept for ever',
    find: 'if (this.#isTrimming || this.#count <= this.#history + trimmedAtOnce) {',
    replace: 'if (this.#count > 0) {',
    tests: [hub],
  },
  {
    name: 'an event is taken out before it is sent',
    find: 'const { problem, retryAfter, status } = await this.#post(event, client, signal)',
    replace: `await this.#queue.sent(event.id)
      const { problem, retryAfter, status } = await this.#post(event, client, signal)`,
    tests: [webhook],
  },
  {
    name: 'any answer counts as taken',
    find: 'const isTaken = status >= 200 && status < 300',
    replace: 'const isTaken = status >= 200',
    tests: [webhook],
  },
  {
    name: 'a queue grows without end',
    find: 'if (this.#isDropping || this.#queue.count <= queue) {',
    replace: 'if (queue > 0) {',
    tests: [webhook],
  },
  {
    name: 'pulls push out other events',
    find: 'const queued = isBusy ? wanted.filter(({ kind }) => !frequentKinds.has(kind)) : wanted',
    replace: 'const queued = isBusy && wanted.length === 0 ? [] : wanted',
    tests: [webhook],
  },
  {
    name: 'an event that was sent again is passed over',
    find: 'added() this.#sent = undefined this.#hasOlder = true',
    replace: 'added()',
    tests: [webhook],
  },
  {
    name: 'what waited before a restart is forgotten',
    find: 'known.queue.found(id)',
    replace: 'forgotten.deleteWaitingEvent(webhook, id)',
    tests: [webhook],
  },
  {
    name: 'a webhook waits for a receiver as long as it likes',
    find: 'const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeout)])',
    replace: 'const deadline = AbortSignal.any([signal])',
    tests: [webhook],
  },
  {
    name: 'an event that nobody takes holds up all others',
    find: 'if (this.#refused >= maxRefusals) {',
    replace: 'if (this.#refused > 1e9) {',
    tests: [webhook],
  },
  {
    name: 'requests are as of another time',
    find: 'const timestamp = String(Math.floor(time / 1000))',
    replace: "const timestamp = '0'",
    tests: [signature],
  },
  {
    name: 'a short secret is taken',
    find: 'key.length < minBytes ||',
    replace: '',
    tests: [signature],
  },
  {
    name: 'the envelope has no length',
    find: 'digest, length: size, repository, url, tag',
    replace: 'digest, repository, url, tag',
    tests: [formats],
  },
  {
    name: 'a pull by HEAD is not told',
    find: "const origin = options.onlyCached === true ? undefined : eventOrigin(events, ['pull'], req, res)",
    replace: `const origin =
      options.onlyCached === true || req.method === 'HEAD' ? undefined : eventOrigin(events, ['pull'], req, res)`,
    tests: [served],
  },
  {
    name: 'a moved tag is told as a push alone',
    find: "...(previous === undefined ? [] : [{ ...pushed, kind: 'tag' as const, tag, previous }])",
    replace: '',
    tests: [served],
  },
]
