"""«Кто звонит?»: the part of a call window in which an agent says who it is."""
