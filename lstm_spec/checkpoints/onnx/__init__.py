"""An ONNX model ↔ its constants, and its LSTM, GRU and RNN nodes. Nothing of it is run.

wire            the file's bytes, counted before they are parsed
parsing         the bytes → the message, or why they are none
declared        the shapes that a graph declares
external        where a tensor's values lie in a second file, held against the rules
initializers    one constant → `Tensor`
scopes          what a name means in a graph, and what has been found so far
calls           a node over constants, as a rule sees it
foldable        a rule for each operator: the shape of what it makes, and how its values follow
folding         a name → the constant that it stands for, by these rules
decomposed/     LSTMs written out in simple nodes → operators, and a net under them
spreading       a state that is spread over its samples → the constants that it comes from
graphs          a graph → the graphs that its nodes hold and call
flow            the recurrent operators in the order in which data runs through them
quantized       ONNX Runtime's quantized LSTM, held by its shapes
operators       a recurrent node → `Operator`, as it uses its constants
reading         the model → `Tensors`, from all of these: `read_onnx`
writing         layers and their weights → the bytes of a model: `onnx_model`, `onnx_chains`
"""
