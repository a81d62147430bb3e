from .dictionary import read_dictionary as read_dictionary
from .guess import (
    PronouncedWords as PronouncedWords,
    pronounce as pronounce,
    spelled as spelled,
)
from .pronunciations import LEXICON as LEXICON, Pronunciations as Pronunciations
from .trie import (
    NO_NODE as NO_NODE,
    ROOT as ROOT,
    Lexicon as Lexicon,
    TrieArrays as TrieArrays,
    build_trie as build_trie,
    find_child as find_child,
    has_children as has_children,
    nodes_spelled as nodes_spelled,
    words_spelled as words_spelled,
)
