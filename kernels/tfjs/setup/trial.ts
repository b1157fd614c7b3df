/** A first product on the TensorFlow of a folder; ends with 0 when it is right. */
import { openTensorflow } from '../tensorflow-package.ts';

const [folder = ''] = process.argv.slice(2);
const { tf, version } = openTensorflow('@tensorflow/tfjs-node', [folder]);
const product = [
  ...tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])).dataSync(),
];
process.stdout.write(`TensorFlow ${version}: ${product.join(' ')}\n`);
process.exitCode = product.join(' ') === '19 22 43 50' ? 0 : 1;
