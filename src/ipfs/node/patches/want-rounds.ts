import type { Slots } from '../../../scheduling/slots.ts'
import type { Upload } from './upload.ts'
import type { Ledger, LedgerMap, Want } from './bitswap-parts.ts'

/** How long a peer may take for the blocks of one round; milliseconds */
const roundTimeout = 60_000
const maxWantsPerRound = 8

export interface RoundsInit {
  /** The peer that the ledger is of */
  peer: string
  /** Bound the rounds of all peers that run at a time */
  slots: Slots
  /** Shares the bytes per second that may be sent; undefined: any number */
  upload?: Upload | undefined
}

/**
 * Sends a peer the blocks that it wants a few at a time, and waits until it has read them before it loads the next ones
 *
 * The library sends all wants whose status is `want`. So a round sets the status of all others aside as `later` while
 * the library picks.
 */
export function serveInRounds(ledger: Ledger, ledgers: LedgerMap, { peer, slots, upload }: RoundsInit): void {
  const send = ledger.sendBlocksToPeer.bind(ledger)
  const addWants = ledger.addWants.bind(ledger)

  // A block that was sent is not sent to the same peer again for some seconds. The library notices that these are over
  // only when it sends something else: a peer whose last block got lost in a broken transfer would ask for it in vain
  // for ever.
  ledger.addWants = wantlist => {
    ledger.removeExpiredWants()
    addWants(wantlist)
  }

  ledger.sendBlocksToPeer = async (options = {}) => {
    // a want for a block that we lack stays a want, so each is tried once per call
    const tried = new Set<Want>()
    const round = async (): Promise<boolean> =>
      await slots.run(async () => await sendRound(ledger, ledgers, send, tried, upload?.blocksPerTurn, options.signal))
    // whoever has nothing to send waits for no turn
    while (untried(ledger, tried).length > 0 && (await (upload === undefined ? round() : upload.run(peer, round)))) {
      // until nothing is left
    }
  }
}

/** @returns whether there was anything to send */
async function sendRound(
  ledger: Ledger,
  ledgers: LedgerMap,
  send: Ledger['sendBlocksToPeer'],
  tried: Set<Want>,
  size = maxWantsPerRound,
  signal?: AbortSignal,
): Promise<boolean> {
  const wants = wanted(ledger)
  const round = untried(ledger, tried).slice(0, size)
  // a peer that has gone is not dialled again for the rest of its wants
  if (round.length === 0 || ![...ledgers.values()].includes(ledger)) {
    return false
  }
  for (const want of wants) {
    want.status = 'later'
    // Set when we answered "have", this is the time at which the library forgets that answer; it would forget the want
    // with it, unserved.
    want.expires = undefined
  }
  for (const want of round) {
    want.status = 'want'
    tried.add(want)
  }
  const deadline = AbortSignal.timeout(roundTimeout)
  const sent = send({ signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]) })
  // the call has picked the wants that it sends before it returned its promise
  replaceStatus(wants, 'later')
  try {
    await sent
  } finally {
    // the library leaves them so where a block can't be read
    replaceStatus(round, 'sending')
  }
  return true
}

function wanted({ wants }: Ledger): Want[] {
  return [...wants.values()].filter(want => want.status === 'want')
}

function untried(ledger: Ledger, tried: ReadonlySet<Want>): Want[] {
  return wanted(ledger).filter(want => !tried.has(want))
}

function replaceStatus(wants: readonly Want[], status: Want['status']): void {
  for (const want of wants.filter(want => want.status === status)) {
    want.status = 'want'
  }
}
