import {
  field,
  message,
  systemMessages,
  tensor,
  type ActorSystem,
  type EventOf,
  type FieldsOf,
  type Self as AnySelf,
  type SentBy,
  type SentTo,
  type Shapes,
} from '@troupe/runtime';
import { optimizerKinds } from '@troupe/spec';
import { agentMessages, counted } from './agent/messages.ts';
import { courierMessages } from './courier/messages.ts';
import { choiceMessages } from './gate/messages.ts';
import { leadMessages } from './lead-messages.ts';
import { movingMessages } from './optimizer/messages.ts';
import { partMessages } from './part/messages.ts';
import { matricesMessages } from './pass/messages.ts';
import { linkMessages } from './supervisor/messages.ts';
import { recoveryMessages } from './trainer/messages.ts';

const { flag, number, oneOf, optional, text } = field;
const { bytes, floats, int64s, ints, lent, sums } = tensor;

/** `train` keeps what backward needs and counts statistics; `evaluate` is a forward pass over held-out sequences. */
export type PassMode = 'train' | 'evaluate';
const mode = oneOf('train', 'evaluate');

/** A part of a flat buffer, elements. */
const range = { from: number, to: number };
/** Of a part of a matrix's columns: elements in a row of it, and from one row to the next in the whole tensor. */
const rows = { rowLength: optional(number), rowStride: optional(number) };
/** Tokens of consecutive sequences, one behind the other; where a model has an encoder also what it reads, and what tokens see of that. */
const tokens = {
  ids_T: ints,
  targets_T: ints,
  firstSeen_T: ints,
  valid_T: bytes,
  sourceIds_S: tensor.optional(ints),
  sourceFirst_S: tensor.optional(ints),
  sourceEnd_S: tensor.optional(ints),
  sourceValid_S: tensor.optional(bytes),
  crossFirst_T: tensor.optional(ints),
  crossEnd_T: tensor.optional(ints),
};
/** Weights of a part of a slice, and the optimizer's state of them. */
const state = { weights: floats, first: floats, second: floats };
/** Texts one behind the other, and where a model has an encoder their sources. */
const texts = {
  ids_T: ints,
  lengths_N: ints,
  sourceIds_S: tensor.optional(ints),
  sourceLengths_N: tensor.optional(ints),
};

/**
 * Every kind of message: who sends it to whom, whether one of an abandoned attempt is dropped, and what it holds.
 *
 * Events of machines, what `tell` accepts, the kinds that a codec lets through, fences and the table in this folder's README follow
 * from it.
 */
export const messages = {
  ...systemMessages,
  ...agentMessages,
  ...courierMessages,
  ...choiceMessages,
  ...matricesMessages,
  ...partMessages,
  ...movingMessages,
  ...leadMessages,
  ...linkMessages,
  ...recoveryMessages,

  'batch.prefetch': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'feeder'],
    says: 'Step `step` comes next: its sequences are wanted.',
  }),
  'batch.counted': message({
    from: ['feeder'],
    to: ['agent'],
    says: 'What the sequences of one worker count in the sums of a step.',
    body: counted,
  }),
  'batch.ready': message({
    from: ['feeder'],
    to: ['stage'],
    says: 'The sequences of one microbatch.',
    tensors: tokens,
  }),
  'evaluation.prefetch': message({
    from: ['stage'],
    to: ['feeder'],
    says: 'The held-out sequences of one evaluation pass are wanted.',
  }),
  'evaluation.ready': message({
    from: ['feeder'],
    to: ['stage'],
    says: 'The held-out sequences of one evaluation pass.',
    fenced: true,
    body: { targets: number },
    tensors: tokens,
  }),

  'step.open': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'stage', 'optimizer'],
    says: 'Step `step` begins, over weights of `version`.',
    fenced: true,
    body: counted,
  }),
  'evaluation.open': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'stage'],
    says: 'An evaluation of `version` begins.',
    fenced: true,
  }),
  'prompt.put': message({
    from: ['program'],
    to: ['trainer'],
    says: 'Texts whose continuation is wanted, one behind the other: the logits behind the last token of each.',
    tensors: texts,
  }),
  'generation.open': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'stage'],
    says: 'One forward pass over these texts, a sequence each, for the logits behind the last token of each.',
    fenced: true,
    tensors: texts,
  }),
  'generation.logits': message({
    from: ['stage'],
    to: ['agent'],
    says: 'The pass has run; the logits, from one last stage of the first replica.',
    fenced: true,
    tensors: { logits_NV: tensor.optional(floats) },
  }),
  'hidden.ready': message({
    from: ['pass'],
    to: ['stage'],
    says: 'The residual stream behind the chunk of layers before, what a chunk of this stage begins with; with an encoder also its stream, or the memory that it left.',
    fenced: true,
    body: { mode, chunk: number },
    tensors: { hidden_TD: floats, source_SD: tensor.optional(floats) },
  }),
  'peer.share': message({
    from: ['pass'],
    to: ['pass'],
    says: 'What a tensor peer has made of sum number `exchange` of a pass.',
    fenced: true,
    body: { rank: number, exchange: number, share: number },
    tensors: { share: floats },
  }),
  'hidden.gradient': message({
    from: ['pass'],
    to: ['stage'],
    says: 'The gradients of what a chunk of this stage sent on: what its backward pass begins with.',
    fenced: true,
    body: { chunk: number },
    tensors: { dHidden_TD: floats, dSource_SD: tensor.optional(floats) },
  }),
  'pass.forward': message({
    from: ['stage'],
    to: ['pass'],
    says: 'The tokens of a microbatch, and what the stage before sent, are in the slot: compute forward.',
    fenced: true,
  }),
  'pass.forwarded': message({
    from: ['pass'],
    to: ['stage'],
    says: 'The forward half of a microbatch has run, and the next stage has its input.',
    fenced: true,
    body: { chunk: number },
  }),
  'pass.backward': message({
    from: ['stage'],
    to: ['pass'],
    says: 'What the backward half begins with is in the slot: compute it; `last`: the step has no further microbatch.',
    fenced: true,
    body: { last: flag },
  }),
  'pass.backwarded': message({
    from: ['pass'],
    to: ['stage'],
    says: 'The backward half has run, and the stage before has its gradient.',
    fenced: true,
    body: { chunk: number },
  }),
  'forward.run': message({
    from: ['pass'],
    to: ['gate'],
    says: 'The tokens of the layer are in the buffers of the pass in that slot: route them.',
    fenced: true,
    body: { mode, slot: number },
  }),
  'rows.dispatch': message({
    from: ['gate', 'service'],
    to: ['expert'],
    says: 'The rows of one source for one expert group, of a chunk of the microbatch; beside it also where the outputs go.',
    fenced: true,
    body: { source: number, chunk: number, mode },
    tensors: {
      x_UD: lent.rows,
      slots_N: lent.ints,
      counts_EG: lent.ints,
      y_ND: tensor.optional(lent.room),
    },
  }),
  'rows.return': message({
    from: ['expert'],
    to: ['gate', 'service'],
    says: 'Outputs of the rows of `rows.dispatch`; none to a gate beside, where they are in place.',
    fenced: true,
    body: { rank: number, chunk: number },
    tensors: { y_ND: tensor.optional(tensor.rows) },
  }),
  'forward.done': message({
    from: ['gate'],
    to: ['pass'],
    says: "The layer's outputs are in the residual stream.",
    fenced: true,
  }),
  'balance.share': message({
    from: ['stage'],
    to: ['agent'],
    says: "Choices of every expert of the stage's layers in its part of the batch, for a balance loss over the whole batch.",
    fenced: true,
    tensors: { counts_LE: ints },
  }),
  'balance.shared': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'stage'],
    says: "The same of the whole batch, of all the model's layers with experts.",
    fenced: true,
    tensors: { counts_LE: ints },
  }),
  'backward.run': message({
    from: ['pass'],
    to: ['gate'],
    says: "The gradient of the layer's outputs is in the buffers of the pass in that slot.",
    fenced: true,
    body: { last: flag, slot: number },
  }),
  'gradients.dispatch': message({
    from: ['gate'],
    to: ['expert'],
    says: 'The gradients of one source for the outputs of its rows; beside it also where those of the inputs go.',
    fenced: true,
    body: { source: number, chunk: number, last: flag },
    tensors: { dOut_UD: lent.rows, rowWeights_N: lent.floats, dx_ND: tensor.optional(lent.room) },
  }),
  'rows.left': message({
    from: ['gate'],
    to: ['pass'],
    says: 'The rows of a backward pass are on their way: what is less urgent may follow.',
    fenced: true,
  }),
  'gradients.return': message({
    from: ['expert'],
    to: ['gate'],
    says: 'Gradients of the rows of `rows.dispatch`; none to a gate beside, where they are in place.',
    fenced: true,
    body: { rank: number, chunk: number },
    tensors: { dx_ND: tensor.optional(tensor.rows) },
  }),
  'backward.done': message({
    from: ['gate'],
    to: ['pass'],
    says: "The gradient of the layer's inputs is in the residual stream.",
    fenced: true,
  }),
  'stage.measured': message({
    from: ['stage'],
    to: ['agent'],
    says: "Exact sums of one worker over a step: losses, choices, dropped ones among them, and probabilities of its own layers' experts.",
    fenced: true,
    body: { kernelMs: number, alike: number },
    tensors: { lossSum: int64s, layerSums: int64s, counts_LE: ints, dropped_L: ints, probSums: int64s },
  }),
  'experts.measured': message({
    from: ['expert'],
    to: ['agent'],
    says: 'The time that a worker without a stage spent in kernels since it last said so.',
    fenced: true,
    body: { kernelMs: number },
  }),
  'stage.evaluated': message({
    from: ['stage'],
    to: ['agent'],
    says: 'The exact loss sum of one worker over the held-out sequences.',
    fenced: true,
    body: { targets: number },
    tensors: { lossSum: int64s },
  }),

  'gradient.add': message({
    from: ['pass', 'expert', 'courier', 'optimizer'],
    to: ['optimizer'],
    says: 'Finished leaves of a part of a slice, or the sum of a group; none where they lie in the buffer beside.',
    fenced: true,
    body: { ...range, level: number, overflow: number },
    tensors: { leaves: tensor.optional(lent.int64s) },
  }),
  'gradient.total': message({
    from: ['optimizer'],
    to: ['optimizer'],
    says: 'A finished sum, for those that update the same parameters (ZeRO 0).',
    fenced: true,
    body: { ...range, level: number },
    tensors: { sums: int64s },
  }),
  'gradient.vote': message({
    from: ['optimizer'],
    to: ['agent'],
    says: 'A shard holds the complete sum of its slice, whose squared norm this is.',
    fenced: true,
    body: { overflow: flag },
    tensors: { norm128: int64s },
  }),
  'commit.decide': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'optimizer', 'ward'],
    says: 'The update that every shard carries out, and every copy of one; it is never taken back. To an agent with its record in the journal, where there is one.',
    fenced: true,
    body: { apply: flag, gradScale: number, learningRate: number, clock: number, record: optional(text) },
  }),
  'commit.applied': message({
    from: ['optimizer', 'ward'],
    to: ['agent'],
    says: 'The update is carried out: the shard, or the copy, holds `version`.',
    fenced: true,
  }),
  'weights.spread': message({
    from: ['optimizer'],
    to: ['optimizer'],
    says: 'New weights of a slice as they are read, for the other holders of the same parameters.',
    fenced: true,
    body: { ...range, level: number },
    tensors: { weights: tensor.rows },
  }),
  'weights.publish': message({
    from: ['optimizer', 'courier', 'program'],
    to: ['stage', 'expert'],
    says: 'Weights of `version` are in the buffer that the receiver reads, or can be gathered (ZeRO 3).',
    fenced: true,
    body: range,
  }),

  'shard.loaded': message({
    from: ['optimizer'],
    to: ['agent'],
    says: 'A shard holds its state of `version`, and so does its buddy.',
    fenced: true,
  }),
  'slices.read': message({
    from: ['optimizer'],
    to: ['store'],
    says: 'Asks for a part of a tensor in the opened checkpoint; it lies at `from` in the slice of the shard.',
    fenced: true,
    body: { name: text, offset: number, length: number, from: number, ...rows },
  }),
  'slices.found': message({
    from: ['store'],
    to: ['optimizer'],
    says: 'The answer.',
    fenced: true,
    body: { from: number },
    tensors: state,
  }),
  'ward.state': message({
    from: ['optimizer'],
    to: ['ward'],
    says: 'A part of the state of a shard, for its buddy to keep.',
    fenced: true,
    body: { group: text, ...range, optimizer: oneOf(...optimizerKinds) },
    tensors: state,
  }),
  'ward.sum': message({
    from: ['optimizer'],
    to: ['ward'],
    says: 'A part of the finished sum of a shard, for its buddy to carry the decision out too: exact, or stored as f32.',
    fenced: true,
    body: { group: text, ...range, kind: oneOf('int64', 'f32') },
    tensors: { sums },
  }),
  'ward.kept': message({
    from: ['ward'],
    to: ['optimizer'],
    says: 'The buddy holds that part.',
    fenced: true,
    body: range,
  }),

  'checkpoint.begin': message({
    from: ['trainer'],
    to: ['store'],
    says: 'A checkpoint of `step` comes, from so many shards.',
    fenced: true,
    body: { adamClock: number, numShards: number, prunes: flag, isLast: flag },
    tensors: { groups_LE: tensor.optional(ints) },
  }),
  'snapshot.take': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'optimizer'],
    says: 'Send your slice of `version` to the store.',
    fenced: true,
  }),
  'snapshot.slice': message({
    from: ['optimizer'],
    to: ['store', 'part'],
    says: 'A part of a tensor for the checkpoint.',
    fenced: true,
    body: { name: text, offset: number, ...rows },
    tensors: state,
  }),
  'snapshot.sent': message({
    from: ['optimizer'],
    to: ['store', 'part'],
    says: 'So many parts make up the slice of this shard.',
    fenced: true,
    body: { pieces: number },
  }),
  'checkpoint.written': message({
    from: ['store'],
    to: ['trainer'],
    says: 'The checkpoint is complete and on the disk.',
    body: { path: text },
  }),
  'checkpoint.failed': message({
    from: ['store'],
    to: ['trainer'],
    says: 'The checkpoint could not be written.',
    body: { code: text, message: text, retryable: flag },
  }),
  'snapshot.find': message({
    from: ['trainer'],
    to: ['store'],
    says: 'Open the newest intact checkpoint up to `step`.',
  }),
  'snapshot.found': message({
    from: ['store'],
    to: ['trainer'],
    says: 'It is of `step`; or there is none.',
    fenced: true,
    body: { exists: flag, adamClock: number },
  }),
  'snapshot.release': message({
    from: ['trainer'],
    to: ['store'],
    says: 'The opened checkpoint is needed no more.',
  }),

  'worker.lost': message({
    from: ['program', 'agent'],
    to: ['supervisor'],
    says: 'The process of a worker or an agent has ended, or its connection, or it does not answer.',
    body: { node: text, incarnation: number, reason: text, by: optional(text) },
  }),
  'worker.joined': message({
    from: ['program', 'agent'],
    to: ['agent', 'supervisor'],
    says: 'The actors of a restarted worker, or agent, are mounted.',
    body: { node: text, incarnation: number },
  }),
  'link.lost': message({
    from: ['program', 'agent'],
    to: ['agent', 'supervisor'],
    says: 'A worker lost its connection to another one.',
    body: { node: text, incarnation: number, reason: text, by: text },
  }),
  'worker.down': message({
    from: ['supervisor'],
    to: ['trainer'],
    says: 'A worker is lost and is being restarted.',
    body: { worker: number, node: text, sentence: text },
  }),
  'worker.up': message({
    from: ['supervisor'],
    to: ['trainer'],
    says: 'Its next life has joined.',
    body: { worker: number },
  }),
  'machine.down': message({
    from: ['supervisor'],
    to: ['trainer'],
    says: 'A machine is lost, with all workers there; its agent is being restarted, and they with it.',
    body: { machine: number, node: text, sentence: text },
  }),
  'machine.up': message({
    from: ['supervisor'],
    to: ['trainer'],
    says: 'The next life of its agent has joined.',
    body: { machine: number },
  }),
  'link.down': message({
    from: ['supervisor'],
    to: ['trainer'],
    says: 'Messages between two living workers were lost.',
    body: { node: text, sentence: text },
  }),
  'worker.stuck': message({
    from: ['program', 'agent'],
    to: ['agent', 'supervisor'],
    says: 'A wait passed its deadline.',
    body: { sentence: text, awaited: text },
  }),
  'actor.failed': message({
    from: ['program', 'agent'],
    to: ['agent', 'supervisor'],
    says: 'An actor ended with an error.',
    body: {
      actor: text,
      code: text,
      message: text,
      retryable: flag,
      node: text,
      incarnation: number,
    },
  }),
  'run.stop': message({ from: ['program'], to: ['trainer'], says: 'Finish the open step and end.' }),
  'run.finished': message({
    from: ['program'],
    to: ['supervisor'],
    says: 'The run has ended: losses are no news any more.',
  }),
} as const;

/** What passes between a service of experts and the programs that ask it. */
export const serviceMessages = {
  ...systemMessages,
  'rows.dispatch': messages['rows.dispatch'],
  'rows.return': messages['rows.return'],
  'weights.publish': messages['weights.publish'],
  'experts.ask': message({
    from: ['asker'],
    to: ['service'],
    says: 'Rows of another program, with the expert that each is for.',
    tensors: { x_ND: tensor.optional(tensor.any), experts_N: tensor.optional(tensor.any) },
  }),
  'experts.answered': message({
    from: ['service'],
    to: ['asker'],
    says: 'Their outputs.',
    tensors: { y_ND: floats },
  }),
  'question.put': message({
    from: ['program'],
    to: ['asker'],
    says: 'A question of the program that the asker lives in; `step` is its number.',
    tensors: { x_ND: floats, experts_N: ints },
  }),
  'service.lost': message({
    from: ['program'],
    to: ['asker'],
    says: 'The connection to the service has ended.',
    body: { sentence: text },
  }),
} as const;

type Messages = typeof messages & typeof serviceMessages;

/** Who takes part in a conversation. */
export type Role = Messages[keyof Messages]['from' | 'to'][number];

/** Events that a role accepts: messages to it, and those it puts into its own mailbox. */
export type EventsOf<R extends Role, Own extends Shapes = SentTo<Messages, R>> = EventOf<
  SentTo<Messages, R> & Own
>;

/** `Self` of an actor of a role: it sends what the catalogue lets it. */
export type Self<R extends Role, Own extends Shapes = SentTo<Messages, R>> = AnySelf<
  SentBy<Messages, R>,
  Own
>;

/** The actors of one node of a run, as the program around them speaks to them. */
export type ProgramSystem = ActorSystem<SentBy<Messages, 'program'>>;

/** What the sender of a kind says. */
export type Fields<K extends keyof Messages> = FieldsOf<Messages[K]>;

/** Every kind that may travel between the nodes of a run; a codec refuses all others by name. */
export const messageKinds: ReadonlySet<string> = new Set(Object.keys(messages));

/** The same of a service, but for what stays within a node. */
export const serviceKinds: ReadonlySet<string> = new Set([
  'experts.ask',
  'experts.answered',
  ...Object.keys(systemMessages),
]);
